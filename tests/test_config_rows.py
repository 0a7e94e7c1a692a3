"""A row of the tables says nothing that it does not mean: a key that nothing reads is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lr_edit.config import load_config
from lr_edit.errors import UserError

PARAMS = Path(__file__).parent.parent / "params.yaml"
DATASET = {"proposals": "dino", "scope": "dataset"}
TABLE = {"proposals": "dino", "choose": "table"}
BEST = {"proposals": "dino", "choose": "best"}


def load(folder: Path, *, group: str, row: dict[str, Any]) -> None:
    params = yaml.safe_load(PARAMS.read_text())
    table = params["variants"] if group == "variants" else params["ablations"].setdefault(group, {})
    table["own"] = row
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    load_config(path)


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (TABLE | {"size": 2}, "size"),
        (TABLE | {"draws": 3}, "draws"),
        (TABLE | {"learner": "exact"}, "learner"),
        (TABLE | {"steps": 3}, "steps"),
        (TABLE | {"rate": 3.0}, "rate"),
        ({"proposals": "dino", "weight_decay": 1.0}, "weight_decay"),
        (BEST | {"losses": {"clip": 0.0}}, "losses"),
    ],
)
@pytest.mark.parametrize("group", ["variants", "regions"])
def test_a_key_that_a_row_never_reads_is_refused(
    tmp_path: Path, group: str, row: dict[str, Any], key: str
) -> None:
    with pytest.raises(UserError, match=rf"own\.{key}' is of .*: leave it out"):
        load(tmp_path, group=group, row=row)


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (TABLE | {"by": "S"}, "by"),
        (TABLE | {"top": 3}, "top"),
        (TABLE | {"text": True}, "text"),
        ({"proposals": "dino", "trained_on": 8}, "trained_on"),
        (TABLE | {"budget": 1}, "budget"),
        (DATASET | {"entrants": 1}, "entrants"),
        (DATASET | {"choose": "fixed", "size": 1}, "size"),
        (DATASET | {"learner": "exact"}, "learner"),
    ],
)
def test_so_is_one_of_an_ablation(tmp_path: Path, row: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=rf"own\.{key}' is of .*: leave it out"):
        load(tmp_path, group="regions", row=row)


@pytest.mark.parametrize(
    "row",
    [
        {"proposals": "dino", "learner": "exact", "steps": 3, "losses": {"clip": 0.0}, "top": 2},
        {"proposals": "dino", "choose": "fixed", "size": 1},
        {"proposals": "dino", "choose": "sample", "draws": 2},
        BEST | {"rank": "loss", "losses": {"clip": 0.0}},
        DATASET | {"text": True, "trained_on": 8, "top": 1},
        DATASET | {"choose": "fixed", "by": "S"},
        DATASET | {"previews": ["dino"], "budget": 90, "entrants": 4},
    ],
)
def test_what_a_row_reads_it_may_say(tmp_path: Path, row: dict[str, Any]) -> None:
    load(tmp_path, group="regions", row=row)


def test_draws_are_of_boxes_that_are_drawn(tmp_path: Path) -> None:
    params = yaml.safe_load(PARAMS.read_text())
    params["proposals"]["own"] = {"anchors": "dino", "boxes": "squares", "draws": 5}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    with pytest.raises(UserError, match="boxes squares are not drawn"):
        load_config(path)


def test_an_empty_profile_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown profile ''"):
        load_config(PARAMS, profile="")


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("ablations.sizes.own.sizes", [1, 3, 1], "1"),
        ("ablations.sizes.own.previews", ["dino", "dino"], "'dino'"),
        ("proposals.dino.propose.sizes", [0.25, 0.5, 0.5], "0.5"),
        ("proposals.grounded-grown.propose.growths", [0, 1, 0], "0"),
        ("dataset_net.tasks", [8, 32, 8], "8"),
    ],
)
def test_nothing_is_counted_twice(tmp_path: Path, part: str, values: list[Any], said: str) -> None:
    params = yaml.safe_load(PARAMS.read_text())
    params["ablations"]["sizes"]["own"] = dict(TABLE)
    *above, last = part.split(".")
    table = params
    for key in above:
        table = table[key]
    table[last] = values
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    with pytest.raises(UserError, match=rf"{part}' names {said} more than once"):
        load_config(path)
