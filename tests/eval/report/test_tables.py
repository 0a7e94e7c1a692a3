"""The tables of a report in their three forms: equal numbers, and LaTeX that a paper can take."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest

from eval.metrics.registry import BY_KEY, MEASURES
from eval.report.captions import table_caption
from eval.report.pages import in_order
from eval.report.render import escape_latex, render_latex
from eval.report.study_tables import study_tables
from eval.report.tables import Table, format_value
from lr_edit.workspace.storage import read_json
from tests.eval.artifact_tree import small_config

CONFIG = small_config()
BASELINE = CONFIG.study.baseline
PDFLATEX = shutil.which("pdflatex")


@pytest.fixture(scope="module")
def reports(finished: Path) -> Path:
    return finished / "reports"


@pytest.fixture(scope="module")
def results(reports: Path) -> dict[str, Any]:
    return in_order(read_json(reports / "results.json"), CONFIG)


@pytest.fixture(scope="module")
def tables(results: dict[str, Any]) -> list[Table]:
    return study_tables(results, CONFIG)


def at(results: Any, key: str) -> Any:
    """What stands at a cell's key; names may hold dots."""
    if not key:
        return results
    for name in results:
        if key == name:
            return results[name]
        if key.startswith(f"{name}."):
            return at(results[name], key[len(name) + 1 :])
    raise KeyError(key)


def test_every_letter_is_there_once_and_in_order(tables: list[Table]) -> None:
    letters = [table.letter for table in tables if table.letter]
    assert letters == list(ascii_uppercase[: len(letters)])
    others = 4  # the paper's Table 2, categories, what a scene holds, where pictures changed
    assert len(letters) == len(CONFIG.ablations) + others


def test_letters_go_on_after_z(results: dict[str, Any]) -> None:
    group = results["ablations"]["losses"]
    groups = {f"group{n}": group for n in range(30)}
    letters = [t.letter for t in study_tables({**results, "ablations": groups}, CONFIG) if t.letter]
    assert len(letters) == 30 + 4 and letters[25:28] == ["Z", "AA", "AB"]


def test_every_cell_stands_at_its_key(tables: list[Table], results: dict[str, Any]) -> None:
    cells = [cell for t in tables for lines in t.blocks.values() for line in lines
             for cell in line.cells if cell.key]  # fmt: skip
    assert len(cells) > 500
    for cell in cells:
        found = at(results, cell.key)
        mean = found["mean"] if isinstance(found, dict) else found
        assert cell.one["mean"] == mean or "background_psnr" in cell.key


def test_the_three_forms_hold_the_same_numbers(reports: Path, results: dict[str, Any]) -> None:
    mean = results["ablations"]["losses"]["clip"]["loss"]["mean"]
    text = format_value(mean, BY_KEY["loss"])
    assert text in (reports / "tables.md").read_text()
    assert text in (reports / "tables.tex").read_text()
    with (reports / "tables.csv").open(newline="") as file:
        lines = {row["key"]: row for row in csv.DictReader(file)}
    assert float(lines["ablations.losses.clip.loss"]["mean"]) == mean
    assert lines[f"variants.{BASELINE}.iou"]["difference"] == ""
    own = lines["variants.learned.iou"]
    tests = results["tests"][BASELINE]["learned"]["iou"]
    assert float(own["sign_p"]) == tests["sign_p"] and float(own["win_rate"]) == tests["win_rate"]
    assert float(own["holm_p"]) == tests["holm_p"] and float(own["effect"]) == tests["effect"]
    variants = [key for key in lines if key.startswith("variants.")]
    assert len(variants) == len(CONFIG.variants) * len(MEASURES)


def test_latex_rows_have_as_many_cells_as_columns(tables: list[Table]) -> None:
    text = render_latex(tables)
    assert text.isascii() and text.count("{") == text.count("}")
    parts = text.split(r"\begin{table*}")[1:]
    assert len(parts) == len(tables)
    for part, table in zip(parts, tables, strict=True):
        body = part[part.index(r"\toprule") : part.index(r"\bottomrule")]
        rows = [line for line in body.splitlines() if line.endswith(r"\\") and " & " in line]
        rows = [row for row in rows if r"\multicolumn" not in row or row.startswith("Row & ")]
        counts = {len(re.findall(r"(?<!\\)&", row)) for row in rows}
        assert counts == {len(table.columns)}, table.heading


@pytest.mark.skipif(PDFLATEX is None, reason="no pdflatex is installed")
def test_latex_compiles_and_nothing_leaves_the_page(reports: Path, tmp_path: Path) -> None:
    shutil.copyfile(reports / "tables.tex", tmp_path / "tables.tex")
    (tmp_path / "paper.tex").write_text(
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}"
        r"\begin{document}\input{tables}\end{document}"
    )
    words = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout and (tmp_path / "paper.pdf").stat().st_size > 10_000


def test_the_best_is_bold_and_the_second_underlined(
    reports: Path, results: dict[str, Any], tables: list[Table]
) -> None:
    rows = {name: row["iou"]["mean"] for name, row in results["variants"].items()}
    del rows["ground-truth-box"]  # knows the answer: stands in the other block
    first, second = sorted(rows.values())[::-1][:2]
    page = (reports / "tables.md").read_text()
    assert f"**{format_value(first, BY_KEY['iou'])}**" in page
    assert f"<u>{format_value(second, BY_KEY['iou'])}</u>" in page
    first_block = dict(tables[0].printed)["Variants"]
    ranks = [cell.rank for _, cells in first_block for cell in cells]
    assert ranks.count(1) >= len(tables[0].columns) - 1


def test_missing_numbers_are_null_and_dashes(reports: Path) -> None:
    text = (reports / "results.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert "nan" not in (reports / "tables.md").read_text().lower()
    assert (
        format_value(None, BY_KEY["loss"]) == "–"
        and format_value(-0.0123, BY_KEY["loss"]) == "−0.012"
    )


def test_the_caption_says_whether_regions_are_known(results: dict[str, Any]) -> None:
    assert table_caption(results).endswith("mean the task's true box.")
    photos = {name: {"iou": {"n": 0}} for name in results["variants"]}
    assert table_caption({**results, "variants": photos}).endswith("no true box is known.")


def test_the_caption_counts_candidates_that_were_no_pictures(results: dict[str, Any]) -> None:
    assert set(results["variants"]) < set(results["failed"]) and not any(results["failed"].values())
    some = {**results["failed"], "learned": 3, "losses/clip": 3}
    said = table_caption({**results, "failed": some})
    assert said.endswith("have no score and win nothing: learned 3.")


def test_what_latex_would_read_as_its_own_is_escaped() -> None:
    assert escape_latex("50% of a_b & {c} − ↑") == r"50\% of a\_b \& \{c\} $-$ $\uparrow$"


def test_every_row_has_a_plain_title_beside_its_key(reports: Path, tables: list[Table]) -> None:
    page, paper = (reports / "tables.md").read_text(), (reports / "tables.tex").read_text()
    for line in (line for table in tables for lines in table.blocks.values() for line in lines):
        assert line.title and f"| `{line.row}` |" in page
        assert str(escape_latex(line.title)) in paper


def test_a_printed_cell_holds_one_number_or_one_interval(reports: Path) -> None:
    rows = [line for line in (reports / "tables.md").read_text().splitlines() if line[:2] == "| "]
    assert len(rows) > 100 and not [row for row in rows if "<br>" in row]
    assert (
        "<details><summary>95% intervals and paired differences"
        in (reports / "tables.md").read_text()
    )
