"""How well a chosen box meets the true one: boxes in, one number per box out.

Boxes are half-open (left, top, right, bottom) pixels; the last axis holds the four. NumPy alone;
torch is there only for who brings its tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Real

HIT = 0.5


def box_iou(boxes: Real[Any, "*n 4"], truth: Real[Any, "*#n 4"]) -> Float[Any, "*n"]:
    """Intersection over union of each box with the true one.

    Args:
        boxes: Half-open (left, top, right, bottom) in pixels; arrays or tensors, of any shape
            before the last axis.
        truth: The true boxes, as many, or one for all.

    Returns:
        float64 in [0, 1], without the last axis: an array for arrays, a tensor for tensors.

    Raises:
        ValueError: What is no box: not four finite numbers, or left not below right.

    Source: Jaccard's index; Everingham et al., The PASCAL Visual Object Classes Challenge, 2010.

    Example:
        >>> box_iou(np.array([[0, 0, 10, 10], [5, 0, 15, 10]]), np.array([0, 0, 10, 10])).round(3)
        array([1.   , 0.333])
    """
    if not isinstance(boxes, np.ndarray):
        import torch

        return torch.as_tensor(box_iou(np.asarray(boxes), np.asarray(truth)))
    boxes, truth = check_boxes(boxes), check_boxes(truth)
    low = np.maximum(boxes[..., :2], truth[..., :2])
    high = np.minimum(boxes[..., 2:], truth[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = _area(boxes) + _area(truth) - shared
    return np.asarray(shared / union)


def box_hit(
    boxes: Real[np.ndarray, "*n 4"], truth: Real[np.ndarray, "*#n 4"]
) -> Float[np.ndarray, "*n"]:
    """1 where the IoU with the true box is at least 0.5, else 0: arguments as `box_iou`.

    Example:
        >>> box_hit(np.array([[0, 0, 10, 10], [5, 0, 15, 10]]), np.array([0, 0, 10, 10]))
        array([1., 0.])
    """
    return np.asarray(box_iou(boxes, truth) >= HIT, float)


def area_ratio(
    boxes: Real[np.ndarray, "*n 4"], truth: Real[np.ndarray, "*#n 4"]
) -> Float[np.ndarray, "*n"]:
    """Area of the box over the true one's: 1 is as large as the object. Arguments as `box_iou`.

    Example:
        >>> area_ratio(np.array([[0, 0, 20, 10]]), np.array([0, 0, 10, 10]))
        array([2.])
    """
    return np.asarray(_area(check_boxes(boxes)) / _area(check_boxes(truth)))


def check_boxes(boxes: Any) -> Float[np.ndarray, "*n 4"]:
    """Boxes as float64.

    Raises:
        ValueError: Not four finite numbers each, or left and top not below right and bottom.

    Example:
        >>> check_boxes([0, 0, 10, 5])
        array([ 0.,  0., 10.,  5.])
    """
    found = np.asarray(boxes, float)
    if not found.ndim or found.shape[-1] != 4:
        raise ValueError(f"boxes of shape {found.shape}: the last axis is left, top, right, bottom")
    wrong = ~(np.isfinite(found).all(-1) & (found[..., :2] < found[..., 2:]).all(-1))
    if wrong.any():
        raise ValueError(f"{found[wrong][0].tolist()} is no box: left, top, right, bottom, the "
                         "first two below the others")  # fmt: skip
    return found


def _area(boxes: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n"]:
    return np.asarray((boxes[..., 2:] - boxes[..., :2]).prod(-1))
