"""Where an edit changed its source, against scikit-learn and plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from eval import where_changed
from eval.metrics.change import pixel_difference
from eval.metrics.classes import WhereChanged

SOURCE, EDITED = torch.rand(2, 3, 3, 20, 24, generator=torch.Generator().manual_seed(1))
MASK = torch.rand(3, 1, 20, 24, generator=torch.Generator().manual_seed(2)) > 0.6


def by_the_book(source: np.ndarray, edited: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The definition, one picture (3, H, W) at a time."""
    gap = edited.astype(float) - source.astype(float)
    light = np.sort((np.array([0.2126, 0.7152, 0.0722])[:, None, None] * gap).sum(0)[rest])
    return np.abs(gap - light[(light.size - 1) // 2]).mean(0)


def test_every_aspect_is_its_definition() -> None:
    for n in range(3):
        inside = MASK[n, 0].numpy()
        difference = by_the_book(SOURCE[n].numpy(), EDITED[n].numpy(), ~inside)
        want = {
            "hit": (difference[inside] > 0.3).mean(),
            "miss": (difference[inside] <= 0.3).mean(),
            "leak": (difference[~inside] > 0.3).mean(),
            "leak_size": difference[~inside].mean(),
            "auc": roc_auc_score(inside.ravel(), difference.ravel()),
        }
        for aspect, value in want.items():
            got = where_changed(SOURCE, EDITED, mask=MASK, aspect=aspect, threshold=0.3)[n]
            assert got.item() == pytest.approx(value, rel=1e-9), aspect


@given(st.lists(st.integers(0, 3), min_size=6, max_size=6), st.integers(1, 62))
def test_ties_count_half(values: list[int], bits: int) -> None:
    inside = np.array([bool(bits >> n & 1) for n in range(6)])
    edited = torch.tensor(values).div(10).expand(1, 3, 1, 6)
    mask = torch.from_numpy(inside)[None, None, None]
    source = torch.zeros_like(edited)
    got = where_changed(source, edited, mask=mask, aspect="auc").item()
    difference = pixel_difference(source, edited, mask=mask)[0, 0].numpy()
    assert got == pytest.approx(roc_auc_score(inside, difference))


def test_light_that_shifts_everywhere_is_no_change() -> None:
    source = SOURCE * 0.5
    assert (where_changed(source, source + 0.4, mask=MASK, aspect="leak") == 0).all()
    edited = source.clone()
    edited[:, :, :5] = 1 - edited[:, :, :5]
    lit = where_changed(source, (edited * 0.8 + 0.1).clamp(0, 1), mask=MASK, aspect="leak_size")
    assert (lit < 0.3).all()


@pytest.mark.parametrize("rows", [2, 10, 15, 19])
def test_an_edit_of_most_of_the_picture_is_no_shift_of_light(rows: int) -> None:
    """A changed background once counted as the light, and what stayed as the leak."""
    source, mask = 0.5 + SOURCE / 2, torch.zeros_like(MASK)
    mask[:, :, :rows] = True
    edited = torch.where(mask, source - 0.4, source)
    for aspect, value in (("hit", 1), ("miss", 0), ("leak", 0), ("leak_size", 0), ("auc", 1)):
        found = where_changed(source, edited, mask=mask, aspect=aspect)
        assert found.tolist() == pytest.approx([value] * 3), aspect


def test_an_empty_mask_or_rest_is_missing() -> None:
    mask = torch.zeros_like(MASK)
    mask[1] = True
    hit, leak, auc = (
        where_changed(SOURCE, EDITED, mask=mask, aspect=a) for a in ("hit", "leak", "auc")
    )
    assert hit[0].isnan() and not hit[1].isnan() and leak[1].isnan() and not leak[0].isnan()
    assert auc.isnan().all()


def test_the_class_says_which_way_is_better_and_averages() -> None:
    metric = WhereChanged("leak", threshold=0.2)
    metric.update(SOURCE, EDITED, MASK)
    want = where_changed(SOURCE, EDITED, mask=MASK, aspect="leak", threshold=0.2).mean()
    assert metric.compute() == pytest.approx(want.item())
    assert not metric.higher_is_better and WhereChanged("auc").higher_is_better
