"""What `lr-edit app` shows of an edit, without a browser."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from lr_edit.cli.main import main
from lr_edit.config import load_config
from lr_edit.desk import Desk, Stopped, Wish
from lr_edit.editor import Editor
from lr_edit.errors import UserError
from lr_edit.frozen.models import Models
from lr_edit.illustrate import find_places
from lr_edit.request import Request, read_picture
from lr_edit.workspace.storage import read_image
from tests.fakes import FakeAnchors, FakeClip, FakeInpainter

WORDS = ("a red boat", "a blue fish on sand")


def make_desk(root: Path, folder: Path, **more: Any) -> Desk:
    config = load_config(root / "params.yaml")
    models = Models(FakeAnchors(), FakeClip(), FakeInpainter())
    return Desk(Editor(config, models, root=root), folder=folder, root=root, **more)


@pytest.fixture
def desk(root: Path, tmp_path: Path) -> Desk:
    return make_desk(root, tmp_path / "shown")


def wish(desk: Desk, **more: Any) -> Wish:
    photo = str(desk.examples[0].path)
    return Wish(**{"photo": photo, "source": WORDS[0], "prompt": WORDS[1], "mode": "enumerate",
                   "budget": None, "seed": 0} | more)  # fmt: skip


def edit(desk: Desk, **more: Any) -> Iterator[dict[str, Any]]:
    return desk.edit(wish(desk, **more), person="a", tell=lambda _share, _what: None)


def test_places_are_shown_before_the_edit_and_the_edit_with_all_that_belongs_to_it(
    desk: Desk,
) -> None:
    first, last = edit(desk)
    assert set(first) == {"attention", "boxes", "status"} and max(first["boxes"].size) == 512
    before, after = (np.asarray(one) for one in last["slider"])
    edited, source = read_image(last["picture"]), read_image(desk.examples[0].path)
    mask = read_image(last["mask"])[..., 0]
    assert before.shape == after.shape and (before != after).any()
    assert (edited != source)[mask == 255].any() and not (edited != source)[mask == 0].any()
    assert len(last["candidates"]) == 4 and "4 candidates" in last["status"]


def test_the_command_makes_the_same_edit_again(
    tiny_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tiny_root)
    editor = Editor.from_profile(root=tiny_root, study=tiny_root / "params.yaml", device="cpu")
    desk = Desk(editor, folder=tmp_path / "shown", root=tiny_root)
    *_, last = edit(desk, mode="race", budget=16, seed=3)
    program, *words = shlex.split(last["command"])
    assert program == "lr-edit" and words[1] == "data/images/eval-000.png"
    main([*words, "--json"])
    (written,) = json.loads(capsys.readouterr().out)["written"]
    assert (read_image(Path(written)) == read_image(last["picture"])).all()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"photo": None}, "there is no picture"),
        ({"source": " "}, "may not be empty"),
        ({"mode": "race", "budget": 0.5}, "budget is 0.5"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_shown(
    desk: Desk, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        next(edit(desk, **more))


def test_a_photo_is_refused_by_picture_book_weights_unless_forced(
    root: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "holiday.png"
    Image.effect_noise((90, 60), 40).save(photo)
    desk = make_desk(root, tmp_path / "a")
    with pytest.raises(UserError, match=r"^holiday.png is 90x60 .*--profile sd2.*--force"):
        next(edit(desk, photo=str(photo)))
    *_, last = edit(make_desk(root, tmp_path / "b", force=True), photo=str(photo))
    assert read_image(last["picture"]).shape == (60, 90, 3) and last["command"].endswith("--force")


def test_places_are_looked_for_where_the_edit_is_and_a_profile_stays(
    root: Path, tmp_path: Path
) -> None:
    photo, own = tmp_path / "wide.png", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    picture = Image.effect_noise((96, 48), 40).convert("RGB")
    picture.save(photo, icc_profile=own.tobytes())
    desk = make_desk(root, tmp_path / "a", force=True)
    request = Request("a boat", "a fish")
    found = find_places(desk.editor, read_picture(photo), request=request)
    assert found.attention.shape == (32, 64)  # not stretched to the square
    *_, last = edit(desk, photo=str(photo))
    with Image.open(last["picture"]) as edited:
        assert edited.size == (96, 48) and edited.info["icc_profile"] == own.tobytes()


def test_a_stopped_edit_ends_and_the_next_one_does_not(desk: Desk) -> None:
    def stop(share: float, what: str) -> None:
        if "full quality" in what:
            desk.stop("a")

    steps = desk.edit(wish(desk), person="a", tell=stop)
    assert "attention" in next(steps)
    with pytest.raises(Stopped):
        next(steps)
    assert len(list(edit(desk))) == 2


def test_without_data_the_examples_are_drawn(root: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    config = load_config(root / "params.yaml")
    models = Models(FakeAnchors(), FakeClip(), FakeInpainter())
    desk = Desk(Editor(config, models, root=root), folder=tmp_path / "c", root=away)
    assert len(desk.examples) == 6 and read_image(desk.examples[5].path).shape == (64, 64, 3)
    assert len(list(edit(desk))) == 2
