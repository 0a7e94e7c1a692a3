"""A table of results: numbers in, one pandas frame out, its typography beside the numbers.

A cell holds raw numbers and the place in results.json that they come from; columns say how they are
printed. Blocks part rows that may not be compared by eye: best bold, second underlined within one.
The templates lay the frame out; the CSV is the frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from eval.metrics.registry import Measure
from lr_edit.workspace.inert import csv_cell

SIGNIFICANT = 0.05
FIELDS = (
    "table", "block", "row", "title", "metric", "category", "key", "higher_is_better", "mean",
    "low", "high", "n", "missing", "difference", "difference_low", "difference_high", "wilcoxon_p",
    "holm_p", "win_rate", "sign_p", "effect", "pairs",
)  # fmt: skip
COUNTS = ("n", "missing", "pairs")
WORDS = ("table", "block", "row", "title", "category")  # anybody's
SIMPLE = ("Cost", "Region", "Ranking", "")  # groups whose titles need no prefix


@dataclass(frozen=True)
class Column:
    """How a column is headed and printed; `category` where it is about some tasks alone; a
    probability is never printed as zero."""

    measure: Measure
    group: str
    category: str = ""
    probability: bool = False

    @property
    def head(self) -> str:
        """In words: group, title, factor, arrow."""
        one = self.measure
        powers = str(one.power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
        factor = f"×10{powers}" if one.power else ""
        group = "" if self.group in SIMPLE else self.group
        return " ".join(part for part in (group, one.title, factor, one.arrow) if part)


@dataclass(frozen=True)
class Cell:
    """One number: `one` is {mean, low, high, n, ...}, `paired` its difference and tests."""

    key: str
    one: Mapping[str, Any]
    paired: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A method and its cells, in the order of the table's columns and, after them, of `more`;
    `title` says in plain words what `row` is."""

    row: str
    cells: tuple[Cell, ...]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """`more` are columns for the CSV alone; blocks map a title ("" for none) to lines."""

    letter: str
    title: str
    note: str
    columns: tuple[Column, ...]
    blocks: Mapping[str, Sequence[Line]]
    more: tuple[Column, ...] = ()

    @property
    def heading(self) -> str:
        """Letter and title."""
        return f"{self.letter}. {self.title}" if self.letter else self.title

    @property
    def label(self) -> str:
        """The heading as LaTeX's labels allow it."""
        words = (self.letter or self.title).lower().replace(" ", "-")
        return "".join(letter for letter in words if letter.isalnum() or letter == "-")

    @property
    def has_keys(self) -> bool:
        """Whether a row's title is another word than its key."""
        return any(line.title not in ("", line.row) for line in self._lines)

    @property
    def _lines(self) -> list[Line]:
        return [line for lines in self.blocks.values() for line in lines]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A line per row and column: `FIELDS`, unscaled; as text `shown`, `interval` and `change`
        (the paired difference), `star`, and `rank` (1 the best of its block, 2 the second)."""
        records = [
            self._record(block, line, column, cell)
            for block, lines in self.blocks.items()
            for line in lines
            for column, cell in zip((*self.columns, *self.more), line.cells, strict=False)
        ]
        frame = pd.DataFrame(records)
        frame["rank"] = _ranks(frame)
        return frame

    def _record(self, block: str, line: Line, column: Column, cell: Cell) -> dict[str, Any]:
        paired, measure = cell.paired, column.measure
        return {
            **dict.fromkeys(FIELDS),
            **{name: cell.one.get(name) for name in ("mean", "low", "high", "n", "missing")},
            **{name: paired.get(name) for name in ("holm_p", "win_rate", "sign_p", "effect")},
            "table": self.letter or self.title,
            "block": block,
            "row": line.row,
            "title": line.title or line.row,
            "metric": measure.key,
            "category": column.category,
            "key": cell.key,
            "higher_is_better": measure.higher_is_better,
            "difference": paired.get("difference"),
            "difference_low": paired.get("low"),
            "difference_high": paired.get("high"),
            "wilcoxon_p": paired.get("p"),
            "pairs": paired.get("n"),
            "column": column,
            "shown": _format_mean(cell.one["mean"], column),
            "interval": format_interval(cell.one, measure),
            "change": _format_change(paired, measure),
            "star": is_significant(paired),
            "endless": bool(cell.one.get("infinite")) and math.isfinite(cell.one["mean"]),
        }

    def spans(self) -> list[tuple[str, int, int]]:
        """Group, first and last place of its columns, from 2 on; none where none has a name."""
        names = [column.group for column in self.columns]
        places = [(name, list(at)) for name, at in groupby(range(len(names)), names.__getitem__)]
        return [(name, at[0] + 2, at[-1] + 2) for name, at in places] if any(names) else []

    @cached_property
    def printed(self) -> list[tuple[str, list[tuple[Line, list[Any]]]]]:
        """Block, and its lines with their printed cells: what a template goes through."""
        wanted = self.frame[self.frame["column"].isin(self.columns)]
        cells: dict[tuple[str, str], list[Any]] = {}
        for cell in wanted.itertuples(index=False):
            cells.setdefault((cell.block, cell.row), []).append(cell)
        return [
            (block, [(line, cells[block, line.row]) for line in lines])
            for block, lines in self.blocks.items()
        ]


def write_csv(tables: Sequence[Table]) -> str:
    """A line per table, row and column, unscaled; what is missing is an empty cell."""
    frame = pd.concat([table.frame for table in tables], ignore_index=True)[list(FIELDS)]
    frame = frame.astype(dict.fromkeys(COUNTS, "Int64"))
    frame[list(WORDS)] = frame[list(WORDS)].map(csv_cell)
    return frame.to_csv(index=False, lineterminator="\n")


def format_value(value: float | None, measure: Measure, *, sign: bool = False) -> str:
    """A value in the table's unit, a dash where there is none, ∞ for a perfect PSNR."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞"
    text = f"{value * 10**measure.power:{'+' if sign else ''}.{measure.decimals}f}"
    return text.replace("-", "−")


def format_interval(one: Mapping[str, Any], measure: Measure, *, sign: bool = False) -> str:
    """Nothing where there is none, or one without width."""
    low, high = one.get("low"), one.get("high")
    if low is None or high is None or low == high:
        return ""
    return f"[{format_value(low, measure, sign=sign)}, {format_value(high, measure, sign=sign)}]"


def is_significant(paired: Mapping[str, Any]) -> bool:
    """Whether Holm's p is below 0.05."""
    holm_p = paired.get("holm_p")
    return holm_p is not None and holm_p < SIGNIFICANT


def _format_mean(value: float | None, column: Column) -> str:
    least = 10.0**-column.measure.decimals
    if column.probability and value is not None and value < least:
        return f"<{least:.{column.measure.decimals}f}"
    return format_value(value, column.measure)


def _format_change(paired: Mapping[str, Any], measure: Measure) -> str:
    """The paired difference with its interval; a star where Holm's p is below 0.05."""
    if paired.get("difference") is None:
        return ""
    star = "*" if is_significant(paired) else ""
    text = format_value(paired["difference"], measure, sign=True) + star
    return f"{text} {format_interval(paired, measure, sign=True)}".rstrip()


def _ranks(frame: pd.DataFrame) -> pd.Series:
    """1 and 2 for the two best values of a block as printed, 0 otherwise; equals have no best, nor
    have means that leave infinite values out."""

    def rank(values: pd.Series) -> pd.Series:
        measure: Measure = frame.loc[values.index[0], "column"].measure
        endless = frame.loc[values.index, "endless"].any()
        if measure.higher_is_better is None or values.nunique() < 2 or endless:
            return pd.Series(0, values.index)
        printed = (values * 10**measure.power).round(measure.decimals)
        order = printed.rank(method="dense", ascending=not measure.higher_is_better)
        known = printed.nunique() > 1
        return order.where(order <= 2, 0).fillna(0).astype(int) * int(known)

    means = pd.Series(frame["mean"], dtype=np.float64)
    places = [frame["block"], frame["column"].map(id)]
    return means.groupby(places, sort=False, group_keys=False).transform(rank).astype(int)
