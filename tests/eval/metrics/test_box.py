"""IoU against counting pixels."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import box_iou
from eval.metrics.box import area_ratio, box_hit

SPANS = st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda p: p[0] != p[1]).map(sorted)
BOXES = st.tuples(SPANS, SPANS).map(lambda s: [s[0][0], s[1][0], s[0][1], s[1][1]])


def filled(box: list[int]) -> np.ndarray:
    frame = np.zeros((12, 12), bool)
    frame[box[1] : box[3], box[0] : box[2]] = True
    return frame


@settings(max_examples=30)
@given(BOXES, BOXES)
def test_iou_is_shared_pixels_over_all_pixels(a: list[int], b: list[int]) -> None:
    x, y = filled(a), filled(b)
    want = (x & y).sum() / (x | y).sum()
    assert np.isclose(box_iou(np.array(a), np.array(b)), want)
    assert np.isclose(area_ratio(np.array(a), np.array(b)), x.sum() / y.sum())


def test_boxes_of_any_leading_shape_meet_one_truth() -> None:
    truth = np.array([0, 0, 4, 2])
    boxes = np.array([[[0, 0, 4, 2], [0, 0, 2, 2]], [[4, 0, 8, 2], [0, 0, 2, 1]]])
    np.testing.assert_allclose(box_iou(boxes, truth), [[1, 0.5], [0, 0.25]])
    np.testing.assert_array_equal(box_hit(boxes, truth), [[1, 1], [0, 0]])


def test_tensors_give_a_tensor() -> None:
    boxes = torch.tensor([[0, 0, 4, 2], [2, 0, 6, 2]])
    got = box_iou(boxes, boxes[:1])
    assert got.equal(torch.tensor([1.0, 1 / 3], dtype=torch.float64))


def test_rows_and_columns_are_not_swapped() -> None:
    assert box_iou(np.array([0, 6, 2, 12]), np.array([6, 0, 12, 2])) == 0
