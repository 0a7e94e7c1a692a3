"""dvc.lock as the source of what a variant was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from lr_edit.errors import UserError
from lr_edit.tracking.lockfile import (
    chain_of,
    content_md5,
    difference,
    read_lock,
    read_study,
    read_yaml,
)
from tests.finished_study import lock, make_study

VARIANTS = {"learned": {"learner": "exact"}, "untrained": {}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_study(tmp_path, VARIANTS)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_folder_has_the_name_that_dvc_gives_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_text("hi\n")
    (tmp_path / "sub/é.txt").write_text("é\n", encoding="utf-8")
    assert content_md5(tmp_path) == "c5f4c2d5dd8821820e0fbef4686d7212.dir"  # by DVC 3.67
    assert content_md5(tmp_path / "a") == "764efa883dda1e11db47671c4a3bbd9e"


def test_a_chain_reaches_back_to_the_data(root: Path) -> None:
    chain = chain_of(read_lock(root / "dvc.lock"), "learned")
    assert [entry.name for entry in chain.entries] == [
        "candidates@dino",
        "edit@learned",
        "evaluate@learned",
        "prepare",
        "train@learned",
    ]


def test_parameters_come_from_the_lock_and_the_variant_overrides_the_base(root: Path) -> None:
    edit(root / "params.yaml", "learner: exact", "learner: gumbel")
    learned, untrained = read_study(root)
    assert learned.row["learner"] == "exact"
    assert untrained.row["learner"] == "none"


def test_variants_come_in_the_order_of_params_and_deleted_ones_are_left_out(root: Path) -> None:
    (root / "params.yaml").write_text("variants: {untrained: {}, new: {}, learned: {}}\n")
    assert [chain.variant for chain in read_study(root)] == ["untrained", "learned"]


def test_keys_stay_when_nothing_changes_and_when_a_later_stage_is_added(root: Path) -> None:
    before = [chain.keys for chain in read_study(root)]
    with (root / "dvc.lock").open("a") as file:
        file.write("  publish:\n    cmd: lr-edit stage publish\n    deps:\n")
        file.write("    - path: artifacts/scores/learned.json\n      md5: abc\n")
    assert [chain.keys for chain in read_study(root)] == before


def test_a_parameter_changes_the_input_key_of_its_variant_alone(root: Path) -> None:
    before = read_study(root)
    edit(root / "params.yaml", "learner: exact", "learner: gumbel")
    lock(root, list(VARIANTS))
    learned, untrained = read_study(root)
    assert learned.keys.input != before[0].keys.input
    assert learned.keys.output == before[0].keys.output
    assert untrained.keys == before[1].keys


def test_other_results_change_the_output_key_alone(root: Path) -> None:
    before = read_study(root)[0].keys
    (root / "artifacts/scores/learned.json").write_text("{}")
    lock(root, list(VARIANTS))
    after = read_study(root)[0].keys
    assert after.input == before.input
    assert after.output != before.output


def test_data_changes_every_input_key(root: Path) -> None:
    before = read_study(root)
    (root / "data/tasks.txt").write_text("other\n")
    lock(root, list(VARIANTS))
    assert all(a.keys.input != b.keys.input for a, b in zip(read_study(root), before, strict=True))


def test_a_workspace_that_fits_its_lock_has_no_difference(root: Path) -> None:
    assert difference(root, read_study(root)) is None


def test_a_changed_parameter_is_named_with_both_values(root: Path) -> None:
    edit(root / "params.yaml", "rate: 0.005", "rate: 5e-2")
    found = difference(root, read_study(root))
    assert found == "params.yaml says base.rate = 0.05, but edit@learned ran with 0.005"


def test_what_has_not_been_run_is_said_so(root: Path) -> None:
    edit(root / "params.yaml", "rate: 0.005", "rate: 0.005\n  draws: 3")
    found = difference(root, read_study(root))
    assert found == "params.yaml has base.draws, which edit@learned has not been run with"


def test_another_spelling_of_a_number_is_no_difference(root: Path) -> None:
    edit(root / "params.yaml", "rate: 0.005", "rate: 5e-3")
    assert difference(root, read_study(root)) is None


def test_a_changed_output_is_named(root: Path) -> None:
    (root / "artifacts/scores/learned.json").write_text("{}")
    found = difference(root, read_study(root))
    assert found == "artifacts/scores/learned.json is not what evaluate@learned left in dvc.lock"


def test_a_file_added_to_an_output_folder_is_noticed(root: Path) -> None:
    (root / "artifacts/nets/learned/extra").write_text("")
    assert "artifacts/nets/learned" in (difference(root, read_study(root)) or "")


def test_what_was_not_pulled_is_no_difference(root: Path) -> None:
    for path in (root / "artifacts/tables/dino").iterdir():
        path.unlink()
    (root / "artifacts/tables/dino").rmdir()
    assert difference(root, read_study(root)) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "is missing: run `dvc repro`"),
        ("a: [", "is not valid YAML"),
        ("- 1", "must hold a mapping"),
        ("stages: {train@a: {}}", "is not a dvc.lock"),
        ("stages: {a: {cmd: x, outs: [{path: y, md5: null}]}}", "is not a dvc.lock"),
        ("stages: {a: {cmd: x, deps: [{path: y, size: big}]}}", "is not a dvc.lock"),
        ("stages: {a: {cmd: x, deps: [{path: null, md5: z}]}}", "is not a dvc.lock"),
        ("schema: '2.0'", "no finished variant"),
    ],
)
def test_a_lock_that_cannot_be_used_says_why(root: Path, text: str | None, sentence: str) -> None:
    path = root / "dvc.lock"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_study(root)


def test_a_variant_that_was_not_run_says_what_to_do(root: Path) -> None:
    with pytest.raises(UserError, match=r"dvc.lock has no evaluate@other: run `dvc repro`"):
        chain_of(read_lock(root / "dvc.lock"), "other")


def test_numbers_are_read_as_dvc_writes_them(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: 1e-05\nb: 5e-3\nc: -1.5E+2\nd: e3\n")
    assert read_yaml(tmp_path / "x.yaml") == {"a": 1e-5, "b": 5e-3, "c": -150.0, "d": "e3"}
