"""Rows that are scored from tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lr_edit.config import load_config
from lr_edit.stages import ablate, candidates, prepare, train
from lr_edit.workspace.storage import read_json
from tests.eval.study.test_race import silent
from tests.tiny import tiny_params, write_params


def test_a_row_that_stands_in_two_groups_is_made_once(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"proposals": "dino", "learner": "exact", "steps": 3}
    params = tiny_params()
    params["ablations"] = {"a": {"exact": row}, "b": {"same": row, "other": {**row, "steps": 2}}}
    write_params(tiny_root, params)
    config = load_config(tiny_root / "params.yaml")
    prepare.run(tiny_root, config)
    candidates.run(tiny_root, config, name="dino", track=silent)
    trained: list[int] = []
    train_nets = train.train_nets

    def count(*args: Any, **how: Any) -> Any:
        trained.append(how["trainer"].variant.steps)
        return train_nets(*args, **how)

    monkeypatch.setattr(train, "train_nets", count)
    ablate.run(tiny_root, config, track=silent)
    found = read_json(tiny_root / "artifacts/ablations.json")
    assert trained == [3, 2]
    assert found["a"]["exact"] == found["b"]["same"] != found["b"]["other"]
