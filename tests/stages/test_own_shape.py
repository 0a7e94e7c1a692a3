"""Photos of any shape in a study: every stage sees them as they are, never squeezed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lr_edit.boxes import grid_points
from lr_edit.config import load_config
from lr_edit.frozen.models import Models
from lr_edit.method import make_bank
from lr_edit.own_shape import in_own_shape
from lr_edit.photo import fit_photo, scale_box
from lr_edit.propose import propose
from lr_edit.types import Box, EditTask, Truth
from lr_edit.workspace.storage import (
    read_banks,
    read_image,
    read_json,
    read_tensors,
    study_image,
    study_tasks,
    write_tasks,
)
from tests.fakes import FakeAnchors, FakeClip, FakeInpainter
from tests.tiny import run, tiny_params, write_params

TASK = EditTask("one", Path("one"), "a boat", "a fish")
SHAPES = {"wide": (128, 76), "high": (30, 90), "square": (64, 64)}  # width, height
SETS = {
    "centre": {"anchors": "centre", "boxes": "squares"},
    "random": {"anchors": "random", "boxes": "squares"},
    "grid": {"anchors": "grid", "boxes": "squares"},
    "grounded": {"anchors": "grounding", "boxes": "grounded"},
    "truth": {"anchors": "truth", "boxes": "truth"},
    "detected": {"anchors": "detector", "boxes": "detected"},
    "instructed": {"anchors": "whole", "boxes": "whole", "inpaint": {"guided": 1.0}},
}
VARIANTS = {
    "learned": {"proposals": "dino", "learner": "exact", "steps": 2},
    "dino-random-size": {"proposals": "dino-random", "choose": "random"},
}


@pytest.fixture
def study(tiny_root: Path) -> Path:
    """Three photos with a true box, and a set of every kind."""
    params = tiny_params()
    params["proposals"] |= SETS
    params["variants"], params["ablations"] = VARIANTS, {}
    write_params(tiny_root, params)
    data = tiny_root / "data"
    for old in (data / "images").iterdir():
        old.unlink()
    rows = []
    for name, (width, height) in SHAPES.items():
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(data / f"images/{name}.png")
        truth = Truth(Box(4, 6, width // 2, height // 2), None)
        words = "a red boat", "a blue fish on sand"
        rows.append(EditTask(name, Path(f"images/{name}.png"), *words, truth=truth))
    write_tasks(data / "tasks.json", rows)
    assert run(tiny_root, "stage", "prepare") == 0
    return tiny_root


@pytest.mark.long
def test_photos_keep_their_shape_from_prepare_to_the_report(study: Path) -> None:
    tasks = study_tasks(study)
    sizes = {task.id: study_image(study, task).shape for task in tasks}
    assert sizes == {"wide": (3, 38, 64), "high": (3, 64, 21), "square": (3, 64, 64)}
    assert tasks[0].truth is not None and tasks[0].truth.box == Box(2, 3, 32, 19)
    for name in ("dino", "dino-random", *SETS):
        assert run(study, "stage", "candidates", "--proposals", name) == 0
        assert run(study, "stage", "judge", "--proposals", name) == 0
        for task, bank in zip(tasks, read_banks(study, name, tasks=tasks), strict=True):
            source, boxes = study_image(study, task), bank.boxes
            _, height, width = source.shape
            assert (boxes >= 0).all() and (boxes[..., :2] < boxes[..., 2:]).all()
            assert (boxes[..., 2] <= width).all() and (boxes[..., 3] <= height).all()
            place = study / f"artifacts/candidates/{name}/{task.id}.safetensors"
            images = read_tensors(place)["images"]
            assert images.shape == (*boxes.shape[:2], 3, height, width)
            for at in np.ndindex(*boxes.shape[:2]):
                left, top, right, bottom = boxes[at]
                changed = (images[at] != source).any(0)
                assert changed[top:bottom, left:right].any()
                changed[top:bottom, left:right] = False
                assert not changed.any()
    for stage in ("train", "edit", "evaluate"):
        for name in VARIANTS:
            assert run(study, "stage", stage, "--variant", name) == 0
    edited = study / "artifacts/edits/learned"
    assert read_image(edited / "wide.png").shape == (38, 64, 3)
    assert run(study, "stage", "report") == 0
    rows = read_json(study / "reports/results.json")["variants"]
    assert rows["learned"]["iou"]["n"] == 3 and rows["learned"]["lpips"]["mean"] is not None
    assert rows["learned"]["success"]["n"] == 0  # nobody says what is to be seen there
    with Image.open(study / "reports/gallery/high.webp") as strip:
        assert strip.size == (3 * 64, 64)
        assert np.asarray(strip)[:, 24:64].min() > 230  # white beside the photo


def test_a_square_is_made_as_without_a_shape() -> None:
    config, models = load_config(), Models(FakeAnchors(), FakeClip(), FakeInpainter())
    picture = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    how = config.proposal_set("dino")
    make = partial(make_bank, task=TASK, config=config, how=how)
    bank, images = in_own_shape(make, models, picture=picture, profile=config.models)
    same, expected = make(models, source=torch.from_numpy(picture))
    assert (images == expected.numpy()).all() and (bank.losses == same.losses).all()


@pytest.mark.parametrize("anchors", ["random", "grid", "centre"])
@pytest.mark.parametrize("size", [(64, 20), (20, 64), (64, 64)])
def test_places_that_no_map_gives_are_all_over_the_photo(
    anchors: str, size: tuple[int, int]
) -> None:
    config = load_config()
    width, height = size
    how = config.proposal_set("dino").model_copy(update={"anchors": anchors, "draws": 1})
    models = Models(FakeAnchors(), FakeClip(), FakeInpainter(), part=Box(0, 0, width, height))
    source = torch.zeros(3, 64, 64, dtype=torch.uint8)
    _, cells, boxes = propose(models, TASK, source=source, config=config, how=how)
    middle = (boxes[..., :2] + boxes[..., 2:]).double() / 2
    assert (boxes[..., 2] <= width).all() and (boxes[..., 3] <= height).all()
    if anchors == "centre":
        assert ((middle - torch.tensor([width, height]) / 2).abs() <= config.models.cell).all()
    else:
        grid = torch.tensor(FakeAnchors().attention(source[None].float()).shape[1:])
        assert (cells < (grid * torch.tensor([height, width]) / 64).ceil()).all()  # in the photo
        spread = middle[:, 0].amax(0) - middle[:, 0].amin(0)
        assert (spread > torch.tensor([width, height]) / 4).all()
    if anchors == "grid" and size == (64, 64):
        rows, cols = FakeAnchors().attention(source[None].float()).shape[1:]
        assert torch.equal(cells, grid_points((rows, cols), points=how.propose.points))


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_a_photo_is_fitted_and_its_boxes_with_it(width: int, height: int) -> None:
    fitted = fit_photo(np.zeros((height, width, 3), np.uint8), side=64, least=4)
    high, wide = fitted.shape[:2]
    assert max(high, wide) == 64 and min(high, wide) >= 4
    whole = Box(0, 0, width, height)
    assert scale_box(whole, old=(width, height), new=(wide, high)) == Box(0, 0, wide, high)
