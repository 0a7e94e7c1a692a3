"""Agreement of labels by eye and the judge, against scikit-learn and a formula by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from eval.study.agreement import (
    DRAWS,
    UNSEEN,
    agree,
    judge_agreement,
    known_verdicts,
    most_say,
    read_labels,
)
from lr_edit.types import Bank
from tests.test_amortise import bank

bits = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=40)


@given(bits)
def test_kappa_and_share_are_scikit_learns_and_the_interval_is_wilsons(pairs: list) -> None:
    person, judge = np.array(pairs, float).T
    found = agree(person, judge)
    p, n, z = found.agree, len(pairs), 1.959963984540054
    assert p == pytest.approx((person == judge).mean()) and found.n == n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert found.low == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-9)
    assert found.high == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-9)
    assume(len(set(person)) > 1 or len(set(judge)) > 1)
    assert found.kappa == pytest.approx(cohen_kappa_score(person, judge))


def test_each_draw_has_enough_edits_and_of_each_verdict_fifty() -> None:
    for draw in DRAWS:
        verdicts = [most_say(votes) for _, votes in read_labels(draw)]
        assert len(verdicts) >= 150 and 50 <= sum(verdicts) <= len(verdicts) - 50


def test_labels_are_looked_up_by_task_and_box_and_what_is_not_there_is_counted() -> None:
    labels = read_labels("fourth")
    known = {edit: float(most_say(votes)) for edit, votes in labels[:-6]}
    every = judge_agreement(known)
    found = every["fourth"]
    tasks = {task for task, _ in known}
    rest = [task for draw in UNSEEN if draw != "fourth" for (task, _), _ in read_labels(draw)]
    lacking = sum(task in tasks for task in rest)
    assert 0 < lacking < len(rest)  # those of the study labels are of other tasks
    assert every["unseen"] == found | {"missing": found["missing"] + lacking}
    assert found["agree"] == 1.0 and found["missing"] >= 1
    assert found["n"] == len(known)
    assert found["missing"] == sum(task in tasks for (task, _), _ in labels[-6:])


def test_no_edit_is_in_two_draws_and_the_unseen_are_counted_together() -> None:
    edits = [edit for draw in DRAWS for edit, _ in read_labels(draw)]
    assert len(set(edits)) == len(edits)
    assert set(DRAWS) - set(UNSEEN) == {"first", "second"}  # thresholds were chosen on these
    found = judge_agreement(dict.fromkeys(edits, 1.0))
    assert found["unseen"]["n"] == sum(found[draw]["n"] for draw in UNSEEN)


def test_two_labellers_are_compared_on_the_edits_that_several_labelled() -> None:
    labels = [one for draw in UNSEEN for one in read_labels(draw)]
    several = [votes for _, votes in labels if len(votes) > 1]
    found = judge_agreement({edit: 0.0 for edit, _ in labels})["labellers"]
    same = np.mean([[a == b, a == c, b == c] for a, b, c in several])
    assert found["n"] == 3 * len(several) and found["agree"] == pytest.approx(same)
    alone = judge_agreement({edit: 0.0 for edit, votes in labels if len(votes) == 1})
    assert "labellers" not in alone and alone["unseen"]["n"] == len(labels) - len(several)


@pytest.mark.parametrize(
    ("votes", "most"), [((1,), 1), ((0, 1, 1), 1), ((1, 0, 0), 0), ((0, 0, 0), 0)]
)
def test_what_most_say_counts(votes: tuple[int, ...], most: int) -> None:
    assert most_say(votes) == most


def test_a_sets_verdicts_are_known_by_task_and_box() -> None:
    one: Bank = bank(np.random.default_rng(0))
    table = {
        "success": np.arange(one.losses[..., 0].size, dtype=float).reshape(one.losses.shape[:2])
    }
    found = known_verdicts(["a"], banks=[one], judged=[table])
    for point in range(one.boxes.shape[0]):
        for size in range(one.boxes.shape[1]):
            assert ("a", tuple(one.boxes[point, size].tolist())) in found
