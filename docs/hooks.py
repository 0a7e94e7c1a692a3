"""What the pages take from the project instead of saying it again.

On a page the marks `<!-- departures -->`, `<!-- tables -->`, `<!-- measures -->` and
`<!-- models -->` become the departures that the code marks, the tables that the reports hold, the
metrics by their keys, and README's table of models; `<!-- reference -->` stands before what comes
from docstrings. The line below a mark is for whoever reads the page where it is not built.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ("showcase.png", "amortised.png", "evaluation.png")  # of reports/, shown on pages
STUDIES = {  # folder of reports/ -> what makes its tables
    "": "make repro",
    "sweep": "make study STUDY=sweep",
    "test": "make study STUDY=test",
}


def on_files(files: Files, config: Any) -> Files:
    """Adds the pictures of reports/ that pages show."""
    for name in PICTURES:
        path = ROOT / "reports" / name
        files.append(File.generated(config, f"reports/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fills the marks of a page."""
    return _MARK.sub(lambda found: MARKS[found[1]](), markdown)


def models_table() -> str:
    """README's table of profiles."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| profile \|.*?\n\n", readme, re.MULTILINE | re.DOTALL)
    return str(table).strip()


def departures() -> Iterator[tuple[str, str, str]]:
    """(file, name in it or "", text) of every `Departure:` in a docstring."""
    for path in sorted((ROOT / "lr_edit").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                continue
            name = "" if isinstance(node, ast.Module) else node.name
            for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                for text in paragraph.split("Departure: ")[1:]:
                    yield path.relative_to(ROOT).as_posix(), name, " ".join(text.split())


def departures_list() -> str:
    """One entry per file, its departures below."""
    lines, last = [], ""
    for file, name, text in departures():
        if file != last:
            lines += ["", f"## `{file.removeprefix('lr_edit/')}`", ""]
        last = file
        module = file.removesuffix(".py").replace("/", ".")
        known = "picturebook" not in module  # the reference is of the method
        link = f"[`{name}`][{module}.{name}]: " if known else f"`{name}`: "
        lines.append(f"- {link if name else ''}{text[:1].upper()}{text[1:]}")
    return "\n".join(lines)


def tables_list() -> str:
    """Every table of the reports, below the command that makes it and the page where it stands."""
    lines = []
    for folder, command in STUDIES.items():
        page = Path("reports", folder, "tables.md")
        titles = re.findall(r"^## (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        lines += ["", f"`{command}` makes `{page.as_posix()}`:", ""]
        lines += [f"- {title}".replace("\\`", "`") for title in titles]
    return "\n".join(lines)


def measures_list() -> str:
    """Every key of the tables: its title, where it is measured, which way is better."""
    from eval.metrics.registry import MEASURES

    better = {True: "higher", False: "lower", None: "near 1"}
    lines = ["| key | title | measured on | better |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{one.key}` | {one.group} {one.title} | {one.region} | {better[one.higher_is_better]} |"
        for one in MEASURES
    ]
    return "\n".join(lines)


_MARK = re.compile(r"<!-- (\w+) -->\n\*.*\*\n")
MARKS: dict[str, Callable[[], str]] = {
    "departures": departures_list,
    "tables": tables_list,
    "measures": measures_list,
    "models": models_table,
    "reference": str,
}
