"""Training as a stage: where it runs changes no byte, and what fails is said."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from lr_edit.config import load_config
from lr_edit.errors import Unfinished
from lr_edit.execution.local import make_all, run_in_loop, run_over_cores
from lr_edit.stages import candidates, prepare, train
from tests.test_method import silent
from tests.trouble import Squares


@pytest.mark.long
def test_nets_are_the_same_bytes_on_any_number_of_processes(tiny_root: Path) -> None:
    config = load_config(tiny_root / "params.yaml")
    prepare.run(tiny_root, config)
    candidates.run(tiny_root, config, name="dino", track=silent)
    made: list[dict[str, bytes]] = []
    for execute in (run_in_loop, partial(run_over_cores, workers=2)):
        train.run(tiny_root, config, name="learned", track=silent, execute=execute)
        files = (tiny_root / "artifacts/nets/learned").iterdir()
        made.append({path.name: path.read_bytes() for path in files})
    assert len(made[0]) == 5 and made[0] == made[1]


def test_a_net_that_fails_ends_the_stage_with_its_cause(tmp_path: Path) -> None:
    with pytest.raises(Unfinished, match="ValueError: 2 will not do; what was cached"):
        list(make_all(range(4), Squares(tmp_path, bad=2), execute=run_in_loop))
