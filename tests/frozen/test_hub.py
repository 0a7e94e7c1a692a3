"""Weights from the hub: what is fetched, what is refused, and that the loaders find it offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from lr_edit.errors import UserError
from lr_edit.frozen.clip import load_clip
from lr_edit.frozen.hub import Offer, Repository, adopt, needed, record, table
from lr_edit.frozen.inpainter import load_inpainter
from lr_edit.types import Sampler
from tests.detector_layout import write_grounding_dino
from tests.hub_layout import COMMIT, served, write_pix2pix, write_sd, write_sdxl
from tests.source_tree import ROOT
from tests.tiny import tiny_params, write_params
from tests.transformer_layout import write_klein

PIPELINE = Repository("org/name", "diffusers", variant="fp16")
PULL_TWICE = """
import contextlib, sys, urllib.error, urllib.request
from lr_edit.cli.main import main
main(sys.argv[2:])
with contextlib.suppress(urllib.error.HTTPError):
    urllib.request.urlopen(sys.argv[1] + "/again")
main(sys.argv[2:])
"""
DINO = "vit_base_patch8_224.dino"

# What the libraries say while the tests write half-precision pipelines.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

ADOPT_AND_LOAD = """
import sys
from pathlib import Path
import torch
from lr_edit.frozen.detectors import load_detector
from lr_edit.frozen.editors import load_editor
from lr_edit.frozen.hub import Repository, adopt
from lr_edit.types import Sampler
folder, commit = Path(sys.argv[1]), sys.argv[2]
adopt(Repository("org/finder", "transformers", revision=commit), folder)
adopt(Repository("org/editor", "diffusers", revision=commit, edits=True), folder)
picture = torch.full((1, 3, 64, 64), 0.5)
print(len(load_detector("org/finder", revision=commit).find(picture, "a cat").boxes))
editor = load_editor("org/editor", revision=commit)
editor.inpaint(picture, "a cat", masks=torch.ones(1, 1, 64, 64, dtype=torch.bool),
               noise=editor.noise(64, 0), sampler=Sampler(2, 2.0, 1.0))
print(editor.nfe)
"""


def test_of_a_pipeline_the_variant_the_configurations_and_nothing_else_is_fetched() -> None:
    files = [
        "README.md", "model_index.json", "sd.ckpt", "sd.safetensors", "unet/config.json",
        "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
        "unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors",
        "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
        "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
        "safety_checker/model.fp16.safetensors", "tokenizer/merges.txt", "tokenizer/vocab.json",
    ]  # fmt: skip
    found = needed(files, PIPELINE, parts=["unet", "vae", "tokenizer"])
    assert set(files) - set(found) == {
        "README.md", "sd.ckpt", "sd.safetensors", "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors", "safety_checker/model.fp16.safetensors",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "files", "parts"),
    [
        (PIPELINE, ["unet/config.json", "unet/diffusion_pytorch_model.bin"], ["unet"]),
        (Repository("timm/x", "timm"), ["config.json", "pytorch_model.bin"], None),
        (Repository("timm/y", "open_clip"), ["open_clip_pytorch_model.bin"], None),
    ],
)
def test_pickled_weights_are_refused_with_the_reason(one, files, parts) -> None:
    with pytest.raises(UserError, match=r"\.bin and no safetensors: a pickle runs code"):
        needed(files, one, parts=parts)


@pytest.mark.long
def test_pulling_names_sizes_resumes_and_writes_down_every_digest(tmp_path: Path) -> None:
    root, page = tmp_path / "root", tmp_path / "hub"
    root.mkdir()
    params = tiny_params()
    params["profiles"]["picturebook"] |= {
        "anchors": {"name": DINO, "licence": "Apache-2.0"},
        "inpainter": {"name": "org/sd", "variant": "fp16"},
    }
    write_params(root, params)
    write_sd(page / "sd")
    (page / "dino").mkdir()
    (page / "dino/model.safetensors").write_bytes(os.urandom(2**24 + 2**23))
    repositories = {"org/sd": page / "sd", f"timm/{DINO}": page / "dino"}
    with served(repositories, cut={"model.safetensors"}) as (url, seen):
        said = pull_twice(root, url, tmp_path)
        assert "org/sd" in said and "0.03 GB in 1 files  Apache-2.0" in said
        assert said.index("0.03 GB") < said.index("Fetching")
        kept = json.loads((root / "weights/picturebook.json").read_text())
        assert kept["org/sd"]["revision"] == COMMIT
        assert set(kept[DINO]["files"]) == {"model.safetensors"}
        again = [span for verb, path, span in seen if path.endswith("/model.safetensors") and span]
        assert again == [f"bytes={10 * 2**20}-"]  # a chunk came through before the break
        before = next(at for at, (_, path, _) in enumerate(seen) if path == "/again")
        later = [path for verb, path, _ in seen[before:] if verb == "GET"]
        assert later and not any("resolve" in path for path in later[1:])


def pull_twice(root: Path, url: str, home: Path) -> str:
    """What `lr-edit models pull` says, and once more, after a request for /again."""
    own = {"HF_ENDPOINT": url, "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "0",
           "PYTHONPATH": str(ROOT)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PULL_TWICE, url, "--root", str(root), "models", "pull"],
        env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("write", "place"),
    [
        (write_sd, "org--name"),
        (write_sd, f"models--org--name/snapshots/{COMMIT}"),
        (write_sdxl, "org/name"),
    ],
)
def test_weights_copied_from_a_folder_load_and_inpaint_without_a_network(
    tmp_path: Path, monkeypatch, write, place: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    write(tmp_path / "from" / place, shard="40KB")
    one = Repository("org/name", "diffusers", revision=COMMIT, variant="fp16")
    kept = record(one, adopt(one, tmp_path / "from"))
    assert kept["revision"] == COMMIT and all(len(sha) == 64 for sha in kept["files"].values())
    inpainter = load_inpainter("org/name", revision=COMMIT, variant="fp16")
    image, masks = torch.full((1, 3, 64, 64), 0.5), torch.zeros(2, 1, 64, 64, dtype=torch.bool)
    masks[:, :, 16:48, 16:48] = True
    sampler = Sampler(steps=4, guidance=2.0, guided=0.75, refresh=2)
    inpainted = inpainter.inpaint(
        image, "a cat", masks=masks, noise=inpainter.noise(64, 0), sampler=sampler
    )
    assert inpainted.shape == (2, 3, 64, 64) and inpainted.isfinite().all()
    assert inpainter.nfe == 2 * (4 + 2)  # guidance measured at the first and the third step


def test_the_parts_of_a_pipeline_with_a_language_model_are_copied_whole(
    tmp_path: Path, monkeypatch
) -> None:
    """Its tokenizer keeps the template of a chat in a file of its own."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    write_klein(tmp_path / "from/org--name")
    adopt(Repository("org/name", "diffusers", revision=COMMIT), tmp_path / "from")
    inpainter = load_inpainter("org/name", revision=COMMIT)
    masks = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    made = inpainter.inpaint(
        torch.full((1, 3, 64, 64), 0.5), "a cat", masks=masks, noise=inpainter.noise(64, 0),
        sampler=Sampler(1, 1.0, 1.0),
    )  # fmt: skip
    assert made.isfinite().all() and inpainter.nfe == 1


@pytest.mark.long
def test_a_detector_and_an_editor_copied_from_a_folder_load_without_a_network(
    tmp_path: Path,
) -> None:
    """In a process of its own: transformers reads where the hub's cache is when it is imported."""
    write_grounding_dino(tmp_path / "from/org--finder")
    write_pix2pix(tmp_path / "from/org--editor")
    done = subprocess.run(
        [sys.executable, "-c", ADOPT_AND_LOAD, str(tmp_path / "from"), COMMIT],
        env={**os.environ, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.split() == ["12", "6"], done.stderr


def test_a_pipeline_that_edits_no_whole_pictures_is_refused_before_it_is_fetched(
    tmp_path: Path,
) -> None:
    write_sd(tmp_path / "org--name")
    with pytest.raises(UserError, match="StableDiffusionInpaintPipeline edits no whole pictures"):
        adopt(Repository("org/name", "diffusers", revision=COMMIT, edits=True), tmp_path)


@pytest.mark.parametrize("profile", ["flux-kontext", "flux2-klein", "qwen-image-edit"])
def test_weights_that_inpaint_and_edit_are_fetched_once(profile: str) -> None:
    from lr_edit.config import load_config
    from lr_edit.frozen.hub import repositories, repository

    models = load_config(profile=profile).models
    found = repositories(models)
    assert len({one.name for one in found}) == len(found)
    assert repository("editor", models.model("editor")) in found  # as what came is written down


def test_a_pull_fetches_what_the_studys_rows_ask_for() -> None:
    from lr_edit.cli.doctor import _without_unused
    from lr_edit.config import load_config
    from lr_edit.frozen.hub import repositories

    alone = {one.name for one in repositories(_without_unused(load_config(profile="sd2")))}
    study = load_config(ROOT / "params.yaml", profile="sd2")
    whole = {one.name for one in repositories(_without_unused(study))}
    assert "IDEA-Research/grounding-dino-tiny" in alone  # an edit's own
    assert whole - alone == {"timbrooks/instruct-pix2pix"}


def test_what_cannot_inpaint_here_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    place = tmp_path / "org--name"
    place.mkdir()
    (place / "model_index.json").write_text(json.dumps({"_class_name": "ChromaPipeline"}))
    with pytest.raises(UserError, match="a ChromaPipeline cannot inpaint here: diffusers cannot"):
        adopt(Repository("org/name", "diffusers", revision=COMMIT), tmp_path)


def test_a_licence_that_must_be_accepted_is_said_before_anything_is_fetched() -> None:
    one = Repository("org/name", "diffusers", licence="Non-Commercial", gated=True)
    (line,) = table([Offer(one, COMMIT, {"a": 10**9}, "Non-Commercial")])
    assert "1.00 GB in 1 files  Non-Commercial" in line and line.endswith("licence on its page")


def test_a_folder_without_the_repository_says_what_it_must_hold(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no org/name: it must hold models--org--name"):
        adopt(PIPELINE, tmp_path)


def test_clip_with_another_activation_than_its_weights_is_refused() -> None:
    with pytest.raises(UserError, match="name 'ViT-B-16-quickgelu'"):
        load_clip("ViT-B-16", "openai")


def test_every_profile_names_repositories_with_licences() -> None:
    from lr_edit.config import load_config
    from lr_edit.frozen.hub import repositories

    profiles = load_config(ROOT / "params.yaml").profiles
    for name in set(profiles) - {"picturebook"}:
        found = repositories(profiles[name])
        assert {one.kind for one in found} == {"diffusers", "timm", "open_clip", "transformers"}
        assert all(one.licence for one in found)
        assert next(one for one in found if one.kind == "diffusers").revision
    assert load_config(profile="sdxl").models.side == 1024
