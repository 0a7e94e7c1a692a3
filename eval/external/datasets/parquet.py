"""Parquet files as the hub keeps data sets: rows without their pictures, which are read later.

pyarrow reads them; it is an extra (`parquet`), imported here alone and in contract.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.external.datasets.contract import Embedded
from lr_edit.errors import UserError


@dataclass(frozen=True)
class Row:
    """One row: its cells but for pictures, and where it is."""

    file: Path
    group: int
    number: int
    values: dict[str, Any]

    @property
    def at(self) -> str:
        """Where, in words."""
        return f"{self.file}: row {self.number} of group {self.group}"

    def picture(self, column: str) -> Embedded:
        """The picture in one of its cells."""
        return Embedded(self.file, self.group, self.number, column)


def find_tables(path: Path) -> list[Path]:
    """The parquet files of a folder, below it too, by name; the file itself; or none."""
    if path.is_dir():
        return sorted(path.rglob("*.parquet"))
    return [path] if path.suffix == ".parquet" else []


def read_tables(
    files: Sequence[Path], columns: Sequence[str], *, optional: Sequence[str] = ()
) -> Iterator[Row]:
    """Every row of every file, with these columns; those that may lack are None then.

    UserError where pyarrow or a column is missing, or a file cannot be read.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UserError(
            "parquet files are read by pyarrow: `pip install 'lr-edit[parquet]'`"
        ) from None
    for file in files:
        try:
            with ParquetFile(file) as table:
                there = set(table.schema_arrow.names)
                lacking = [name for name in columns if name not in there and name not in optional]
                if lacking:
                    raise UserError(f"{file} has no column {lacking[0]!r}: is it another data set?")
                known = [name for name in columns if name in there]
                for group in range(table.num_row_groups):
                    rows = table.read_row_group(group, columns=known).to_pylist()
                    yield from (Row(file, group, n, row) for n, row in enumerate(rows))
        except (ArrowException, OSError) as error:
            raise UserError(f"{file} cannot be read as parquet ({error})") from None


def need_tables(path: Path) -> list[Path]:
    """The parquet files of a folder. UserError if there are none."""
    found = find_tables(path)
    if not found:
        raise UserError(f"{path} holds no parquet file: name the folder that was downloaded")
    return found
