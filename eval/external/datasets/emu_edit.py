"""The Emu Edit test set (Sheynin et al. 2024; facebook/emu_edit_test_set): parquet files.

Seven tasks. Rows whose two captions are equal are wrong; the encoders of the published numbers were
never stated. In the published generations the two splits are swapped, which their sizes tell.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from eval.external.datasets.contract import Dataset, Sample
from eval.external.datasets.listing import text_of, words_of
from eval.external.datasets.parquet import need_tables, read_tables
from eval.metrics.suite import EMU_EDIT
from lr_edit.types import EditTask

ROWS = {"validation": 2022, "test": 3589}
_COLUMNS = (
    "instruction", "task", "split", "idx", "hash", "input_caption", "output_caption",
)  # fmt: skip


def read_emu_edit(path: Path) -> Dataset:
    """A task per row; its edit is named after the row's `idx` or `hash`, also in SPLIT/."""
    samples, doubt = [], "its two captions are equal"
    splits: Counter[str] = Counter()
    for cell in read_tables(need_tables(path), _COLUMNS, optional=("hash",)):
        row, at = cell.values, cell.at
        split, idx = words_of(row, "split") or "test", str(row["idx"])
        before, after = text_of(row, "input_caption", at=at), text_of(row, "output_caption", at=at)
        splits[split] += 1
        names = (f"{split}/{idx}", f"{split}-{idx}", idx, words_of(row, "hash"))
        task = EditTask(
            id=f"{split}-{idx}", image=Path(split, f"{idx}.png"), source="", prompt=after,
            category=text_of(row, "task", at=at), split=split, caption=before,
        )  # fmt: skip
        samples.append(
            Sample(
                task,
                cell.picture("image"),
                tuple(name for name in names if name),
                instruction=text_of(row, "instruction", at=at),
                doubt=doubt if before.strip() == after.strip() else "",
            )
        )
    return Dataset("emu-edit", tuple(samples), EMU_EDIT, notes=tuple(_swapped(splits)))


def _swapped(splits: Counter[str]) -> list[str]:
    """A note where a split has the number of rows of the other one."""
    other = {count: name for name, count in ROWS.items()}
    return [
        f"the split {name!r} has {count} rows, which is the size of {other[count]!r}: in the "
        "published generations the two are swapped"
        for name, count in splits.items()
        if other.get(count, name) != name
    ]
