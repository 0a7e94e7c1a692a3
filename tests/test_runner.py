"""A stage is run where something that it depends on changed, else its outputs are restored."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType

import pytest
import yaml

from lr_edit.workspace.code import find_reached, is_left_out
from lr_edit.workspace.source import PACKAGES, SourceTree, defined_names
from lr_edit.workspace.times import read_times
from tests.source_tree import ENTRIES, ROOT
from tests.tiny import run

TREE = SourceTree(ROOT)
HOMES = tuple(f"{ROOT}/{package}/" for package in PACKAGES)
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "timm", "open_clip", "mlflow"}
RUN = """
import sys
from lr_edit.cli.main import main
for words in {chain!r}:
    main(["--root", {root!r}, "stage", *words])
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


class Tracer:
    """The functions of the packages that run below a stage's entries."""

    def __init__(self, stage: str) -> None:
        self._entries = {(str(TREE.modules()[name].path), one) for name, one in ENTRIES[stage]}
        self._below, self.seen = 0, set[tuple[str, str]]()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        function = code.co_flags & CO_OPTIMIZED  # the body of a class or a module is none
        if event not in ("call", "return") or not function:
            return
        if not code.co_filename.startswith(HOMES):
            return
        here = code.co_filename.removeprefix(f"{ROOT}/"), code.co_qualname
        if event == "call":
            self._below += here in self._entries
            if self._below:
                self.seen.add((here[0], here[1].split(".")[0]))
        else:
            self._below -= here in self._entries


def unkeyed(stage: str, tracer: Tracer) -> set[tuple[str, str]]:
    """What ran and is in no key of the stage, though it is not left out."""
    found = find_reached(TREE, *ENTRIES[stage])
    names = {(name, each) for name in found for node in found[name] for each in defined_names(node)}
    paths = {str(module.path): module for module in TREE.modules().values()}
    ran = {(paths[path], name) for path, name in tracer.seen if path in paths}
    return {
        (module.name, name)
        for module, name in ran
        if name in module.definitions
        and not is_left_out(module.name)
        # Handed in: says how far it is, and shows the names in it.
        and not module.name.startswith(("lr_edit.cli.", "lr_edit.workspace.inert"))
    } - names


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


@pytest.mark.long
def test_a_stage_is_run_where_what_it_depends_on_changed_and_nowhere_else(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in CHAIN:
        sys.setprofile(tracer := Tracer(words[0]))
        failed = run(study, "stage", *words)
        sys.setprofile(None)
        assert not failed and tracer.seen and not unkeyed(words[0], tracer)
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

    # ... and none of them needs a model's library for that.
    code = RUN.format(root=str(study), chain=CHAIN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.count("nothing changed") == len(CHAIN), done.stderr
    assert not set(done.stdout.split()) & HEAVY
