"""`make deps`: what each stage's code stands on -> the `deps` of dvc.yaml, extra.yaml and studies.

Files of the packages alone are written; data, weights, comments and order stay as they are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from lr_edit.errors import UserError
from lr_edit.files import atomic_write, read_yaml
from lr_edit.stages import TABLE
from lr_edit.workspace.overlay import EXTRA, write_study
from lr_edit.workspace.paths import checkout, find_root
from lr_edit.workspace.source import PACKAGES, SourceTree

_COMMAND = re.compile(r"\s*cmd: lr-edit stage (\w+)")
_ITEM = re.compile(r"(\s*- )(.*)")


def write_dependencies(top: Path) -> list[Path]:
    """Bring the pipelines of a checkout up to its code; returns those that changed.

    Raises UserError for a stage that is not in the table of stages.
    """
    tree, changed = SourceTree(top), []
    for path in (top / "dvc.yaml", top / EXTRA):
        before = path.read_text(encoding="utf-8")
        after = "\n".join(_lines(before.splitlines(), tree, _parameter_files(path)))
        if after != before:
            with atomic_write(path) as part:
                part.write_text(after, encoding="utf-8")
            changed.append(path)
    for path in sorted(top.glob("studies/*/dvc.yaml")):
        if (name := path.parent.name) and path.parent.with_suffix(".yaml").is_file():
            before = path.read_text(encoding="utf-8")
            write_study(top, name)
            changed += [path] if path.read_text(encoding="utf-8") != before else []
    return changed


def _parameter_files(path: Path) -> dict[str, set[str]]:
    """Stage -> the files whose parameters it names one by one."""
    pipeline = read_yaml(path)
    stages = {name: row.get("do", row) for name, row in pipeline.get("stages", pipeline).items()}
    return {
        name: {file for entry in row.get("params", []) if isinstance(entry, dict) for file in entry}
        for name, row in stages.items()
    }


def _lines(lines: list[str], tree: SourceTree, apart: dict[str, set[str]]) -> Iterator[str]:
    """The lines of a pipeline, with the code that its stages stand on."""
    stage, inside, start = "", False, ""
    for line in [*lines, ""]:
        if named := _COMMAND.match(line):
            stage = named.group(1)
        item = _ITEM.match(line) if inside else None
        if inside and item is None:
            paths = (path.as_posix() for path in tree.files(_module(stage)))
            yield from (f"{start}{path}" for path in paths if path not in apart[stage])
            inside = False
        if item:
            start = item.group(1)
        if not (item and item.group(2).split("/")[0] in PACKAGES):
            yield line
        inside = inside or line.strip() == "deps:"


def _module(stage: str) -> str:
    if stage not in TABLE:
        raise UserError(f"stage {stage!r} runs no module: add it to lr_edit/stages/__init__.py")
    return TABLE[stage]


if __name__ == "__main__":
    for each in write_dependencies(checkout(find_root())):
        sys.stdout.write(f"{each}\n")
