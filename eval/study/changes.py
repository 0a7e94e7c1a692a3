"""Where each variant's edits changed the picture, against the true box: hit, miss, leak.

Editors that need no region change what they like; a region bounds what an inpainter may. One rule
looks at both: `eval.metrics.change`, on the pictures themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from eval.metrics.registry import is_headline
from eval.statistics import estimate
from eval.study.evaluate import cell
from lr_edit.types import EditTask
from lr_edit.workspace.storage import study_edit, study_image

Aspect = Literal["hit", "miss", "leak", "leak_size", "auc"]  # of `eval.metrics.change`
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)


def change_results(
    root: Path, variants: Sequence[str], *, tasks: Sequence[EditTask], resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Variant -> aspect -> mean and interval over the headline tasks that have a true box; the edit
    of the first seed stands for a variant. Empty where no task has one."""
    known = [task for task in tasks if is_headline(task.category) and task.truth and task.truth.box]
    if not known:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name in variants:
        rows = [_changes(root, name, task) for task in known]
        found[name] = {
            aspect: cell(estimate(np.array(values), resamples=resamples, seed=seed))
            for aspect, values in zip(ASPECTS, zip(*rows, strict=True), strict=True)
        }
    return found


def _changes(root: Path, name: str, task: EditTask) -> list[float]:
    """Every aspect of one edit."""
    import torch  # tables do without

    from eval.metrics.change import where_changed

    assert task.truth is not None and task.truth.box is not None
    before, after = (
        torch.from_numpy(pixels.copy())[None].float() / 255
        for pixels in (study_image(root, task), study_edit(root, name, task=task))
    )
    box, mask = task.truth.box, torch.zeros(1, 1, *before.shape[-2:], dtype=torch.bool)
    mask[..., box.top : box.bottom, box.left : box.right] = True
    return [float(where_changed(before, after, mask=mask, aspect=aspect)) for aspect in ASPECTS]
