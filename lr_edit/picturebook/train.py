"""Every small model by name: how it is built, trained, measured and exported.

`train` goes on from the last checkpoint; a finished model is only measured and exported again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import nn

from lr_edit.errors import UserError, suggest_name
from lr_edit.picturebook import anchors, clip, detector, editor, inpainter, judge, perceptual, vae
from lr_edit.picturebook.pool import Pool, load_pool
from lr_edit.picturebook.trainer import Recipe, fit, load_average
from lr_edit.proposal_set import Inpaint
from lr_edit.types import Track
from lr_edit.workspace.storage import read_json, write_json

# In the order they are trained: the inpainter needs the autoencoder, the trunk is measured with it.
NAMES = (
    "vae", "inpainter", "scoring-clip", "anchors", "judge", "evaluation-clip", "perceptual",
    "detector", "editor",
)  # fmt: skip
SCENES = {"inpainter": 12_000}  # others: 20,000
HELD_OUT = 512  # scenes of `val`


@dataclass(frozen=True)
class Trainee:
    """A small model in training."""

    module: nn.Module
    recipe: Recipe
    size: int  # of what training draws from
    loss: Callable[[torch.Tensor, torch.Generator], torch.Tensor]
    measure: Callable[[Pool], dict[str, float]]
    export: Callable[[Path], None]


def enrol(name: str, *, models: Path, cache: Path) -> Trainee:
    """A fresh model by name, and what it learns from."""
    if name not in NAMES:
        raise UserError(f"unknown model {name!r}{suggest_name(name, NAMES)}")
    if name == "editor":
        return _editor(models, cache)
    pool = load_pool("pretrain", SCENES.get(name, 20_000), folder=cache)
    if name == "inpainter":
        return _inpainter(pool, cache)
    if name == "perceptual":
        return _perceptual(pool, cache)
    package: Any = {
        "scoring-clip": clip, "evaluation-clip": clip, "anchors": anchors, "judge": judge,
        "vae": vae, "detector": detector,
    }[name]  # fmt: skip
    named = {"name": name} if package is clip else {}
    also: dict[str, Any] = {"pool": pool} if package is vae else named
    module = package.build(**named)
    return Trainee(
        module,
        package.RECIPES[name] if named else package.RECIPE,
        size=len(pool),
        loss=lambda indices, generator: package.loss(
            module, pool, indices=indices, generator=generator
        ),
        measure=lambda held_out: package.measure(module, held_out),
        export=lambda folder: package.export(module, folder, **also),
    )


def _autoencoder(cache: Path, *, needed_by: str) -> AutoencoderKL:
    if not (cache / "vae/config.json").is_file():
        raise UserError(
            f"the {needed_by} needs the autoencoder: run `lr-edit picturebook train vae`"
        )
    return AutoencoderKL.from_pretrained(cache / "vae").eval().requires_grad_(False)


def _inpainter(pool: Pool, cache: Path) -> Trainee:
    frozen = _autoencoder(cache, needed_by="inpainter")
    data = inpainter.encode(frozen, pool, path=cache / "latents.safetensors")
    net = inpainter.build()
    return Trainee(
        net,
        inpainter.RECIPE,
        size=len(pool),
        loss=lambda indices, generator: inpainter.loss(
            net, data, indices=indices, generator=generator
        ),
        measure=lambda _: {},
        export=lambda folder: inpainter.export(net, frozen, folder=folder),
    )


def _editor(models: Path, cache: Path) -> Trainee:
    if not (start := models / "inpainter").is_dir():
        raise UserError(
            "the editor starts from the inpainter: run `lr-edit picturebook train inpainter`"
        )
    frozen = AutoencoderKL.from_pretrained(start / "vae").float().eval().requires_grad_(False)
    data = editor.encode(frozen, path=cache / "pairs.safetensors")
    net = editor.build(start, scale=frozen.config.scaling_factor)
    return Trainee(
        net,
        editor.RECIPE,
        size=len(data.tokens),
        loss=lambda indices, generator: editor.loss(
            net, data, indices=indices, generator=generator
        ),
        measure=lambda _: {},
        export=lambda folder: editor.export(net, frozen, folder=folder),
    )


def _perceptual(pool: Pool, cache: Path) -> Trainee:
    frozen = _autoencoder(cache, needed_by="perceptual trunk")

    def reconstruct(images: torch.Tensor) -> torch.Tensor:
        return vae.reconstruct(frozen, images)

    named, triples = (
        perceptual.build(),
        perceptual.load_triples(pool, cache / "triples.safetensors", reconstruct=reconstruct),
    )
    return Trainee(
        named,
        perceptual.RECIPE,
        size=len(triples),
        loss=lambda indices, generator: perceptual.loss(
            named, pool, triples=triples, indices=indices, generator=generator
        ),
        measure=lambda held_out: perceptual.measure(named, held_out, reconstruct=reconstruct),
        export=lambda folder: perceptual.export(named, folder),
    )


def train(
    name: str, *, models: Path, cache: Path, track: Track, device: str = "cpu"
) -> dict[str, Any]:
    """Train one model, write its folder below `models`, and return what was measured."""
    trainee = enrol(name, models=models, cache=cache)
    checkpoint, steps = cache / f"{name}.ckpt.safetensors", trainee.recipe.steps
    records = fit(
        trainee.module,
        trainee.loss,
        size=trainee.size,
        recipe=trainee.recipe,
        checkpoint=checkpoint,
        device=device,
    )
    seconds = 0.0
    for record in track(records, f"train {name}", total=steps):
        seconds = record.seconds
    trainee.module.eval()
    found = trainee.measure(load_pool("val", HELD_OUT, folder=cache))
    # The autoencoder travels inside the inpainter's folder.
    folder = (cache if name == "vae" else models) / name
    trainee.export(folder)
    # Seconds of this call; a finished model is only measured again.
    took = {"seconds": round(seconds)} if seconds else {}
    return note(models, name, **found, steps=steps, seed=trainee.recipe.seed, device=device, **took)


def learning_curve(
    *, models: Path, cache: Path, inpaint: Inpaint, track: Callable
) -> list[dict[str, float]]:
    """What the inpainter reached at every step whose weights were kept."""
    from lr_edit.picturebook import measures  # it loads what a study loads

    net, frozen = inpainter.build(), _autoencoder(cache, needed_by="inpainter")
    rows = []
    kept = sorted(
        cache.glob("inpainter.at*.safetensors"), key=lambda path: int(path.suffixes[0][3:])
    )
    for path in kept:
        load_average(net, path)
        with TemporaryDirectory() as folder:
            home = Path(folder)
            (home / "judge").symlink_to((models / "judge").resolve())
            inpainter.export(net, frozen, folder=home / "inpainter")
            edit = measures.in_true_boxes(home, inpaint)
            found, _ = measures.measure_edits(home, edit, track=track)
        rows.append({"steps": float(path.suffixes[0][3:]), **found})
    note(models, "inpainter", curve=rows)
    return rows


def note(models: Path, name: str, **found: Any) -> dict[str, Any]:
    """Add to what is known of a model."""
    path = measured_path(models, name)
    known = (read_json(path) if path.exists() else {}) | found
    write_json(path, known)
    return known


def measured_path(models: Path, name: str) -> Path:
    """Beside the weights, not among them: a new measurement changes no weights' digest."""
    return models / "measured" / f"{name}.json"


def status(*, models: Path, cache: Path) -> list[dict[str, Any]]:
    """Where every model stands: steps done, exported or not."""
    rows = []
    for name in NAMES:
        checkpoint = cache / f"{name}.ckpt.safetensors"
        done = _steps_done(checkpoint) if checkpoint.exists() else 0
        home = cache if name == "vae" else models
        rows.append({"name": name, "steps": done, "exported": (home / name).is_dir()})
    return rows


def _steps_done(checkpoint: Path) -> int:
    from safetensors import safe_open

    with safe_open(checkpoint, "pt") as file:
        return int(file.metadata()["step"])
