"""dvc.yaml and params.yaml say the truth: a stage depends on the code it runs, no more, no less.

A dependency too few leaves stale results; one too many reruns the inpainter for a changed table.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lr_edit.workspace.source import PACKAGES
from tests.source_tree import ROOT, files, modules


class _Strict(yaml.SafeLoader):
    """YAML that refuses a key given twice; plain YAML keeps the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"given twice near line {node.start_mark.line + 1}: {twice}"
        return super().construct_mapping(node, deep)


def read(name: str) -> dict[str, Any]:
    """A YAML file at the root; empty while it does not exist."""
    path = ROOT / name
    return (yaml.load(path.read_text(), _Strict) if path.exists() else None) or {}


EXTRA = "lr_edit/stages/extra.yaml"  # of studies that need them
STAGES: dict[str, Any] = read("dvc.yaml").get("stages", {}) | read(EXTRA)
PARAMS = read("params.yaml")

needs_pipeline = pytest.mark.skipif(not STAGES, reason="dvc.yaml is not written yet")
each_stage = pytest.mark.parametrize("stage", STAGES)


def recipe(stage: str) -> dict[str, Any]:
    """A stage's entry; a `foreach` keeps it under `do`."""
    return STAGES[stage].get("do", STAGES[stage])


def stage_module(stage: str) -> str:
    """The module that a stage's command runs: `lr-edit stage NAME` or `python -m MODULE`."""
    command = str(recipe(stage)["cmd"])
    if run := re.search(r"python3? -m (\S+)", command):
        name = run.group(1)
        return f"{name}.__main__" if f"{name}.__main__" in modules() else name
    verb = re.search(r"lr-edit (?:stage )?(\S+)", command)
    assert verb, f"{stage}: which module does {command!r} run?"
    name = verb.group(1).replace("-", "_")
    homes = [f"lr_edit.stages.{name}", f"eval.stages.{name}", f"eval.{name}"]
    found = next((home for home in homes if home in modules()), None)
    assert found, f"{stage}: none of {homes} exists"
    return found


def parameter_files(stage: str) -> set[str]:
    """Files whose parameters a stage names one by one."""
    entries = recipe(stage).get("params", [])
    return {file for entry in entries if isinstance(entry, dict) for file in entry}


@needs_pipeline
@each_stage
def test_a_stage_depends_on_exactly_the_code_it_runs(stage: str) -> None:
    needed = files(stage_module(stage)) - parameter_files(stage)
    given = [next(iter(d)) if isinstance(d, dict) else d for d in recipe(stage).get("deps", [])]
    listed = {path for path in given if path.split("/")[0] in PACKAGES and (ROOT / path).is_file()}
    folders = [p for p in given if (ROOT / p / "__init__.py").exists()]
    assert not folders, f"{stage} depends on whole packages: {folders}"
    assert listed == needed, f"run `make deps`: {stage}, {sorted(listed ^ needed)}"


@needs_pipeline
@each_stage
def test_no_stage_writes_into_tracked_data(stage: str) -> None:
    outs = recipe(stage).get("outs", [])
    paths = [Path(next(iter(out)) if isinstance(out, dict) else out) for out in outs]
    assert not [path for path in paths if path.parts[0] in {"data", "models", "cache"}]


@needs_pipeline
@each_stage
def test_no_output_outlives_its_inputs(stage: str) -> None:
    outs = [out for out in recipe(stage).get("outs", []) if isinstance(out, dict)]
    kept = [name for out in outs for name, how in out.items() if (how or {}).get("persist")]
    assert not kept, "persisted outputs make a rerun a no-op that dvc.lock believes"


@pytest.mark.parametrize("name", PARAMS.get("variants", {}))
def test_a_variant_states_only_its_difference(name: str) -> None:
    base, row = PARAMS.get("base", {}), PARAMS["variants"][name] or {}
    assert not [key for key, value in row.items() if key in base and base[key] == value]


@pytest.mark.parametrize("table", ["variants", "proposals", "profiles"])
def test_names_do_not_look_like_numbers(table: str) -> None:
    for name in PARAMS.get(table, {}):
        assert isinstance(name, str) and not re.fullmatch(r"[\d._eE+-]+", name), name
