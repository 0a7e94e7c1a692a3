"""A study of two tasks on the real adapters: small models of random weights, drawn pictures.

The models are built and written by the picture book's own code, so that every stage loads them as
it loads trained ones; only what they inpaint is noise.
"""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from lr_edit.cli.main import main
from lr_edit.picturebook.tasks import make_task
from lr_edit.picturebook.world import draw
from lr_edit.workspace.storage import write_image, write_json, write_tasks
from tests.source_tree import ROOT

VARIANTS: dict[str, dict[str, Any]] = {
    "learned": {"proposals": "dino", "learner": "exact", "steps": 3},
    "dino-random-size": {"proposals": "dino-random", "choose": "random", "seeds": 2},
    "fixed-medium": {"proposals": "dino", "choose": "fixed", "size": 1},
}

ABLATIONS: dict[str, dict[str, Any]] = {
    "regions": {
        "argmin-table": {"proposals": "dino", "choose": "table"},
        "first-anchor": {"proposals": "dino", "choose": "fixed", "points": 1},
        "exact": {"proposals": "dino", "learner": "exact", "steps": 3},
    },
    "budget": {"random-2": {"proposals": "dino", "choose": "sample", "draws": 2, "seeds": 2}},
}


def write_models(folder: Path) -> None:
    """Every model of the picture-book profile, untrained."""
    from lr_edit.picturebook import (
        anchors,
        clip,
        detector,
        editor,
        inpainter,
        judge,
        perceptual,
        vae,
    )

    anchors.export(anchors.build(), folder / "anchors")
    judge.export(judge.build(), folder / "judge")
    perceptual.export(perceptual.build(), folder / "perceptual")
    for name in ("scoring-clip", "evaluation-clip"):
        clip.export(clip.build(name), folder / name, name=name)
    autoencoder = vae.build()
    inpainter.export(inpainter.build(), autoencoder, folder=folder / "inpainter")
    detector.export(detector.build(), folder / "detector")
    net = editor.build(folder / "inpainter", scale=autoencoder.config.scaling_factor)
    editor.export(net, autoencoder, folder=folder / "editor")
    write_json(folder / "anchor-net/dino/card.json", {"best_size": {"J": 0, "S": 1}})  # no nets


def tiny_params() -> dict[str, Any]:
    """The repository's params.yaml with everything that costs time made small."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["study"]["resamples"] = 99
    params["propose"] |= {"points": 2, "sizes": [0.25, 0.5]}
    params["inpaint"] |= {"steps": 2, "batch": 3}
    params["race"] = {"entrants": None}  # no dataset-level nets
    params["profiles"] = {"picturebook": {}}
    params["proposals"] = {name: params["proposals"][name] for name in ("dino", "dino-random")}
    params["proposals"]["dino-random"]["draws"] = 1
    params["variants"] = deepcopy(VARIANTS)
    params["ablations"] = deepcopy(ABLATIONS)
    return params


def write_params(root: Path, params: dict[str, Any]) -> None:
    """params.yaml in block style, and a dvc.yaml if there is none."""
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (root / "dvc.yaml").touch()


def write_data(folder: Path) -> None:
    """Two tasks of the picture book."""
    made = [make_task("replace", "dev", index=0), make_task("recolour", "dev", index=1)]
    for task, before, _ in made:
        write_image(folder / task.image, draw(before))
    write_tasks(folder / "tasks.json", [task for task, _, _ in made])


def write_root(root: Path, models: Path, *, copy: bool = False) -> Path:
    """A checkout's parameters, data and models below `root`; models are linked unless copied."""
    write_params(root, tiny_params())
    write_data(root / "data")
    home = root / "models/picturebook"
    home.parent.mkdir()
    if copy:
        shutil.copytree(models, home)
    else:
        home.symlink_to(models)
    return root


def run(root: Path, *words: str) -> int:
    """The exit code of `lr-edit --root ROOT WORDS`."""
    try:
        main(["--root", str(root), *words])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
