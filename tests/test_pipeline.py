"""The whole pipeline under the real `dvc`, on two tasks and models of random weights."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lr_edit.workspace.overlay import write_study
from tests.source_tree import ROOT
from tests.tiny import tiny_params, write_params, write_root

CHOSEN = ("learned", "fixed-medium")  # one proposal set: starting processes is what costs
EVERY_STAGE = {
    "prepare", "candidates@dino", "judge@dino", "ablate", "report", "publish",
    *(f"{stage}@{name}" for stage in ("train", "edit", "evaluate") for name in CHOSEN),
}  # fmt: skip
STAGES_OF_BARE = ("prepare", "candidates@dino")


def small_params() -> dict:
    params = tiny_params()
    params["proposals"] = {"dino": params["proposals"]["dino"]}
    params["variants"] = {name: params["variants"][name] for name in CHOSEN}
    params["study"]["baseline"] = "fixed-medium"
    return params


@pytest.fixture
def project(tmp_path: Path, tiny_models: Path) -> Path:
    """As `make_project` makes it."""
    return make_project(tmp_path / "project", tiny_models)


def make_project(root: Path, models: Path) -> Path:
    """A checkout without git: the real dvc.yaml and code, the tiny study."""
    root.mkdir()
    write_root(root, models, copy=True)
    write_params(root, small_params())
    shutil.copy(ROOT / "dvc.yaml", root / "dvc.yaml")
    for package in ("lr_edit", "eval"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, root / package, ignore=skip)
    dvc(root, "init", "--no-scm", "--quiet")
    (root / ".dvc/config").write_text("[core]\n    no_scm = true\n    check_update = false\n")
    return root


def dvc(root: Path, *words: str) -> str:
    """What `dvc` says; the test fails with it if the command does."""
    process = start_dvc(root, *words)
    said, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, said[-4000:]
    return said


def start_dvc(root: Path, *words: str) -> subprocess.Popen[str]:
    """`dvc` at work, with caches beside the checkout."""
    tools = Path(sys.executable).parent
    own = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "LR_EDIT_CACHE": str(root.parent / "cache"),
        "DVC_SITE_CACHE_DIR": str(root.parent / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(root.parent / "config"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *words], cwd=root, env={**os.environ, **own},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def reproduced(root: Path, *targets: str) -> set[str]:
    """The stages that `dvc repro` ran."""
    return set(re.findall(r"Running stage '([^']+)'", dvc(root, "repro", *targets)))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_study_is_made_from_nothing_and_then_there_is_nothing_to_do(project: Path) -> None:
    assert reproduced(project) == EVERY_STAGE
    assert (project / "reports/contact_sheet.png").is_file()
    assert reproduced(project) == set()


@pytest.mark.long
def test_a_study_is_made_once_and_afterwards_only_what_changed(project: Path) -> None:
    assert reproduced(project) == EVERY_STAGE
    results = json.loads((project / "reports/results.json").read_text())
    assert set(CHOSEN) <= set(results["variants"])
    assert (project / "reports/contact_sheet.png").is_file()
    assert set(json.loads((project / "artifacts/receipt.json").read_text())) == set(CHOSEN)
    scores = (project / "artifacts/scores/fixed-medium.csv").read_bytes()
    kept = contents(project.parent / "cache/candidates")

    assert reproduced(project) == set()

    params = small_params()
    params["variants"]["learned"]["steps"] += 1
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert reproduced(project) == {
        "train@learned", "edit@learned", "evaluate@learned", "report", "publish"
    }  # fmt: skip
    assert (project / "artifacts/scores/fixed-medium.csv").read_bytes() == scores
    assert contents(project.parent / "cache/candidates").keys() == kept.keys()

    # Other words: whatever stands on them is run, finds that nothing changed, and ends.
    types = project / "lr_edit/types.py"
    types.write_text(types.read_text().replace('"""', '"""In other words: ', 1))
    said = dvc(project, "repro")
    restored = set(re.findall(r"(\S+): nothing changed, outputs restored", said))
    assert restored == EVERY_STAGE - {"publish"}
    assert reproduced(project) == set()

    # Another value: what it reaches is made anew, and no more.
    statistics = project / "eval/statistics.py"
    text = statistics.read_text()
    assert "LEVEL = 0.95" in text
    statistics.write_text(text.replace("LEVEL = 0.95", "LEVEL = 0.5"))
    assert reproduced(project) == {f"evaluate@{name}" for name in CHOSEN} | {"report", "publish"}
    assert (project / "artifacts/scores/fixed-medium.csv").read_bytes() == scores

    # A further study of the same checkout, without variants: its candidates are known already.
    overlay: dict[str, dict[str, list]] = {name: {"only": []} for name in ("variants", "ablations")}
    (project / "studies").mkdir()
    (project / "studies/bare.yaml").write_text(yaml.safe_dump(overlay))
    write_study(project, "bare")
    pipeline = "studies/bare/dvc.yaml"
    assert reproduced(project, pipeline) == {f"{pipeline}:{stage}" for stage in STAGES_OF_BARE}
    assert reproduced(project, pipeline) == set()
    tables = "artifacts/tables/dino"
    assert contents(project / "studies/bare" / tables) == contents(project / tables)
    assert contents(project.parent / "cache/candidates").keys() == kept.keys()
