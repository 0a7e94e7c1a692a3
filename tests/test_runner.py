"""A stage is run where something that it depends on changed, else its outputs are restored."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lr_edit.workspace.times import read_times
from tests.source_tree import ROOT
from tests.tiny import run

HEAVY = {"torch", "torchvision", "diffusers", "transformers", "timm", "open_clip", "mlflow"}
RUN = """
import sys
from lr_edit.cli.main import main
main(["--root", {root!r}, *{words!r}])
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
# A chain of stages, each on what the one before it left.
CHAIN = (
    ("prepare",),
    ("candidates", "--proposals", "dino"),
    ("judge", "--proposals", "dino"),
    ("train", "--variant", "learned"),
    ("edit", "--variant", "learned"),
    ("evaluate", "--variant", "learned"),
)


@pytest.fixture
def study(tiny_root: Path) -> Path:
    """The tiny study with the real pipeline."""
    shutil.copy(ROOT / "dvc.yaml", tiny_root / "dvc.yaml")
    return tiny_root


def outputs(root: Path) -> dict[str, bytes]:
    paths = [path for path in (root / "artifacts").rglob("*") if path.is_file()]
    return {str(p.relative_to(root)): p.read_bytes() for p in paths if p.name != "times.jsonl"}


def stages_run(root: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The stages of the chain that did not end by the cache."""
    capsys.readouterr()
    for words in CHAIN:
        assert run(root, "stage", *words) == 0
    said = capsys.readouterr().err
    restored = set(re.findall(r"^(\w+)\S*: nothing changed, outputs restored$", said, re.M))
    return {words[0] for words in CHAIN} - restored


def test_a_stage_is_run_where_what_it_depends_on_changed_and_nowhere_else(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = {words[0] for words in CHAIN}
    assert stages_run(study, capsys) == everything
    first = outputs(study)
    shutil.rmtree(study / "artifacts/edits")  # as DVC does before it runs a stage
    (study / "artifacts/nets/learned/stray").write_text("of an earlier run")

    assert stages_run(study, capsys) == set()
    assert outputs(study) == first
    times = {row.stage: row for row in read_times(study)}
    assert set(times) == {"@".join(words[::2]) for words in CHAIN}
    assert all(row.restored and row.memory > 2**20 for row in times.values())

    params = yaml.safe_load((study / "params.yaml").read_text())
    params["variants"]["learned"]["rank"] = "loss"
    (study / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert stages_run(study, capsys) == {"train", "edit", "evaluate"}

    for words in CHAIN:  # and none of them needs a model's library for that
        code = RUN.format(root=str(study), words=["stage", *words])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0 and "nothing changed" in done.stderr, done.stderr
        assert not set(done.stdout.split()) & HEAVY, words
