"""Rows that are scored from tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lr_edit.config import load_config
from lr_edit.files import read_yaml
from lr_edit.stages import ablate, candidates, prepare, train
from lr_edit.tracking.lockfile import content_md5
from lr_edit.workspace.paths import cache_folder
from lr_edit.workspace.storage import read_json, write_json
from tests.eval.study.test_race import silent
from tests.tiny import tiny_params, write_params, write_root

ROW = {"proposals": "dino", "learner": "exact", "steps": 3}
OUT = "artifacts/ablations.json"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps of the rows whose nets were trained, in turn."""
    steps: list[int] = []
    train_nets = train.train_nets

    def count(*args: Any, **how: Any) -> Any:
        steps.append(how["trainer"].variant.steps)
        return train_nets(*args, **how)

    monkeypatch.setattr(train, "train_nets", count)
    return steps


def state(root: Path, ablations: dict[str, Any], **others: Any) -> None:
    write_params(root, tiny_params() | {"ablations": ablations} | others)


def run(root: Path, track: Callable[..., Any] = silent) -> Any:
    ablate.run(root, load_config(root / "params.yaml"), track=track)
    return read_json(root / OUT)


@pytest.fixture(scope="module")
def inpainted(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with candidates, and no row."""
    home = tmp_path_factory.mktemp("inpainted")
    (home / "root").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LR_EDIT_CACHE", str(home / "cache"))
        root = write_root(home / "root", tiny_models)
        state(root, {})
        config = load_config(root / "params.yaml")
        prepare.run(root, config)
        candidates.run(root, config, name="dino", track=silent)
    return root


@pytest.fixture
def study(inpainted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in a folder of the test's own, with an empty cache."""
    monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(inpainted, tmp_path / "root", symlinks=True))


def record(root: Path) -> Path:
    """As a clone has a study after `dvc pull`: a lock, what it names in DVC's cache, no cache of
    ours. Returns the file in DVC's cache."""
    params = read_yaml(root / "params.yaml")
    inputs = ["artifacts/tables", "artifacts/tasks", "models/picturebook/anchor-net"]
    deps, outs = (
        [{"path": one, "hash": "md5", "md5": content_md5(root / one)} for one in paths]
        for paths in (inputs, [OUT])
    )
    entry = {
        "cmd": "lr-edit stage ablate", "deps": deps, "outs": outs,
        "params": {"params.yaml": {key: params[key] for key in ("ablations", "base")}},
    }  # fmt: skip
    write_json(root / "dvc.lock", {"schema": "2.0", "stages": {"ablate": entry}})
    md5 = outs[0]["md5"]
    kept = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(root / OUT, kept)
    shutil.rmtree(cache_folder(root) / "ablations")
    return kept


def test_a_row_that_stands_in_two_groups_is_made_once(study: Path, trained: list[int]) -> None:
    state(study, {"a": {"exact": ROW}, "b": {"same": ROW, "other": {**ROW, "steps": 2}}})
    found = run(study)
    assert trained == [3, 2]
    assert found["a"]["exact"] == found["b"]["same"] != found["b"]["other"]


def test_rows_that_were_finished_outlive_a_stop(study: Path, trained: list[int]) -> None:
    def stop_at_the_third(items: Any, label: str, *, total: int) -> Any:
        for at, item in enumerate(items):
            if at == 2:
                raise KeyboardInterrupt
            yield item

    state(study, {"a": {f"exact-{n}": {**ROW, "steps": n} for n in (2, 3, 4)}})
    with pytest.raises(KeyboardInterrupt):
        run(study, track=stop_at_the_third)
    assert not (study / OUT).exists()
    found = run(study)
    assert trained == [2, 3, 4]
    shutil.rmtree(cache_folder(study) / "ablations")
    assert run(study) == found  # what was kept is what is made


def test_a_row_is_made_anew_where_its_tables_are_others(study: Path, trained: list[int]) -> None:
    state(study, {"a": {"exact": ROW}})
    run(study)
    table = next((study / "artifacts/tables/dino").glob("*.safetensors"))
    other = next(one for one in table.parent.iterdir() if one != table)
    shutil.copy(other, table)
    run(study)
    assert trained == [3, 3]


def test_a_pulled_study_makes_the_rows_alone_that_it_lacks(study: Path, trained: list[int]) -> None:
    state(study, {"a": {"exact": ROW}, "b": {"other": {**ROW, "steps": 2}}})
    before = run(study)
    record(study)
    state(study, {"a": {"exact": ROW, "new": {**ROW, "steps": 4}}, "c": {"exact": ROW}})
    found = run(study)
    assert trained == [3, 2, 4]
    assert found["a"]["exact"] == found["c"]["exact"] == before["a"]["exact"]
    assert "b" not in found and found["a"]["new"] != found["a"]["exact"]


def _change_table(root: Path, kept: Path) -> None:
    table = next((root / "artifacts/tables/dino").glob("*.safetensors"))
    shutil.copy(next(one for one in table.parent.iterdir() if one != table), table)


def _change_base(root: Path, kept: Path) -> None:
    base = tiny_params()["base"]
    state(root, {"a": {"exact": ROW}}, base={**base, "rate": base["rate"] / 2})


def _damage(root: Path, kept: Path) -> None:
    kept.write_bytes(kept.read_bytes().replace(b'"candidates_used"', b'"candidates_usef"', 1))


def _lose(root: Path, kept: Path) -> None:
    kept.unlink()


@pytest.mark.parametrize("change", [_change_table, _change_base, _damage, _lose])
def test_nothing_is_taken_from_a_record_that_no_longer_holds(
    study: Path, trained: list[int], change: Callable[[Path, Path], None]
) -> None:
    state(study, {"a": {"exact": ROW}})
    run(study)
    change(study, record(study))
    run(study)
    assert trained == [3, 3]
