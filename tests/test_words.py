"""The project speaks the field's words: NFE, inpaint, preview, scoring CLIP, random-k, top-k.

Each pattern is a private sense that a reader of the field would have to learn. Ordinary English is
not meant: an image may be looked at, a difference may be a difference.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lr_edit.cli.main import cli
from tests.source_tree import ROOT

_UNIT = (
    "anchor|box|candidate|category|cell|column|core|edit|file|GPU|group|image|key|kind|machine|"
    "metric|model|net|pair|picture|point|process|profile|prompt|quantity|repository|round|row|"
    "run|seed|set|size|split|step|strategy|study|task|variant|word|worker"
)
_COUNTED = (
    "AnchorNet|bar|box|bytes|call|candidates?|card|cell|chart|choice|column|curve|dot|edits?|"
    "evaluations?|figure|file|image|item|items|key|line|loss|losses|metric|milliseconds|models?|"
    "net|number|one|page|panel|picture|point|process|record|rectangles?|row|rows|run|score|"
    "seconds|set|sheet|size|square|step|table|tasks?|tile|value|values|vote|worker"
)
PRIVATE = {  # what is not said: what is said instead
    r"(?<![\w-])(re)?paint(s|ed|er|ers|ing)?\b": "inpaint, candidate, draw",
    r"\b(paid|pays|spends?|spent)\b": "NFE, cost, use",
    r"\bsample-evaluations?\b|`evaluations`": "NFE, UNet evaluations",
    rf"\b({_COUNTED}) an? ({_UNIT})\b": "per image, per variant, per anchor",
    r"\b(a|an|cheap|cheaper|first|\d+|most|more|of|the) looks?\b(?! (at|like|for))": "preview",
    r"\b[Ll]ooks of\b|\ba look at\b": "preview",
    r"\bwhat (it|DINO|CLIP|AnchorNet|the net|a net|the models?|nets?) sees?\b": "features",
    r"\b([Nn]ets?|AnchorNet)( that| with text| which)? sees?\b": "reads, takes",
    r"\bteachers?\b": "scoring CLIP",
    r"\b(un)?luck\w*\b": "random-k, chance",
    r"\b[Ll]ikeliest\b|\bforesee\w*|\bforetell\w*|\bforetold\b": "top-k, prior, rank correlation",
    r"\b([Nn]ets?|AnchorNets?|trained|learned) across\b|\bacross (its |the )?(images|tasks)\b":
        "dataset-level, amortised",
    r"\bby difference\b|\b[Dd]ifference(s box|'s box| box| map)\b": "DiffEdit",
}  # fmt: skip


LATER = ("reports/models.md", "reports/performance.md")
# An f-string is tokens of its own from Python 3.12.
_SPEAKING = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}


def spoken(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every docstring, string and comment of a Python file, or of the file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield 1, text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _SPEAKING:
            yield token.start[0], token.string


def private_words(text: str) -> list[str]:
    """What of a text is a private sense, and what is said instead."""
    flat = re.sub(r"\s*\n[\s#]*", " ", text)
    return [
        f"{hit.group()!r}: {instead}"
        for pattern, instead in PRIVATE.items()
        for hit in re.finditer(pattern, flat)
    ]


def sources() -> list[Path]:
    """Everything that speaks to a reader and is written by hand."""
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "params.yaml", "Makefile")]
    for package in ("lr_edit", "eval", "benchmarks"):
        for ending in ("py", "yaml", "j2", "html"):
            found += sorted((ROOT / package).rglob(f"*.{ending}"))
    found = [path for path in found if path.parent.name != "criteria"]  # prompts: a painted boat
    found += sorted((ROOT / "studies").glob("*.yaml"))
    found += sorted((ROOT / "docs").rglob("*.md")) + sorted((ROOT / "docs").rglob("*.py"))
    return found + sorted((ROOT / "reports").rglob("*.md"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_written_uses_the_fields_words(path: Path) -> None:
    found = [f"line {line}: {one}" for line, text in spoken(path) for one in private_words(text)]
    assert not found, f"{path.relative_to(ROOT)}: {'; '.join(found)}"


def commands(group: click.Command, name: str = "lr-edit") -> Iterator[tuple[str, click.Command]]:
    yield name, group
    for own, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{name} {own}")


@pytest.mark.parametrize(("name", "command"), list(commands(cli)), ids=lambda one: str(one)[:40])
def test_help_uses_the_fields_words(name: str, command: click.Command) -> None:
    page = command.get_help(click.Context(command, info_name=name))
    assert not private_words(page), page


def test_private_senses_are_found_and_ordinary_english_is_not() -> None:
    for text in (
        "every box is painted", "a row an image", "40 looks of 1", "nets across images",
        "what luck buys", "the likeliest boxes", "UNet evaluations that were spent",
        "one value a metric\n    and image", "what AnchorNet sees", "best by difference",
    ):  # fmt: skip
        assert private_words(text), text
    for text in (
        "every box is inpainted", "the user looks at an image", "a difference of two means",
        "UNet evaluations per image", "it looks like a boat", "the image is seen once",
    ):  # fmt: skip
        assert not private_words(text), text
