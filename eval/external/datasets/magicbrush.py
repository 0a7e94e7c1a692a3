"""MagicBrush (Zhang et al. 2023): edit_turns.json beside images/ID/, its targets and file names.

A session is a picture that is edited in turns. `ID_1` is the edit of its first turn, `ID_inde_N`
turn N made from the true previous picture, `ID_iter_N` from the editor's own previous edit.
Published results have two columns: *all turns* (`ID_1` and `ID_inde_N`, each against its own
target) and *final turn* (the last `ID_iter_N`, or the single `ID_1`, against the last target).

The words of CLIP-T are the local caption of the target, else its global description.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.external.datasets.contract import Dataset, Sample
from eval.external.datasets.listing import find_listing, read_rows, text_of
from eval.external.mask_files import Cutout
from eval.metrics.suite import MAGICBRUSH
from lr_edit.errors import UserError
from lr_edit.files import read_json
from lr_edit.types import EditTask
from lr_edit.workspace.tasks import inside

# What its evaluation script loads.
NETWORKS = {
    "clip": ("ViT-B-32-quickgelu", "openai"),
    "dino": ("vit_small_patch16_224.dino", None),
}


@dataclass(frozen=True)
class Turn:
    """One row of edit_turns.json; `number` counts from 1 within its session."""

    session: str
    number: int
    source: Path
    output: Path
    instruction: str
    mask: Path | None
    caption: str | None
    prompt: str


def read_turns(path: Path) -> Dataset:
    """All turns, each made from the true previous picture."""
    home, sessions = _sessions(path)
    samples = [
        _sample(home, turn, name=_name(turn, "inde"), category=f"turn {turn.number}")
        for turns in sessions.values()
        for turn in turns
    ]
    return Dataset("magicbrush", tuple(samples), MAGICBRUSH, NETWORKS)


def read_final_turns(path: Path) -> Dataset:
    """The last turn of every session, made from the editor's own previous edits."""
    home, sessions = _sessions(path)
    samples = []
    for turns in sessions.values():
        first, last = turns[0], turns[-1]
        name = _name(last, "iter")
        sample = _sample(home, last, name=name, category=f"{len(turns)} turns", source=first)
        samples.append(sample)
    return Dataset("magicbrush-final", tuple(samples), MAGICBRUSH, NETWORKS)


def _name(turn: Turn, how: str) -> str:
    """What the editor's own file is called."""
    return f"{turn.session}_1" if turn.number == 1 else f"{turn.session}_{how}_{turn.number}"


def _sample(
    home: Path, turn: Turn, *, name: str, category: str, source: Turn | None = None
) -> Sample:
    """A turn; `source`: the turn whose input the edit began with, where it is another."""
    first = source or turn
    image = home / first.source
    task = EditTask(
        id=name, image=first.source, source="", prompt=turn.prompt, category=category,
        caption=first.caption,
    )  # fmt: skip
    mask = Cutout(home / turn.mask) if turn.mask and first is turn else None
    names = (f"{turn.session}/{name}", name)
    return Sample(task, image, names, mask, home / turn.output, turn.instruction)


def _sessions(path: Path) -> tuple[Path, dict[str, list[Turn]]]:
    """The folder, and session -> its turns in order."""
    path = find_listing(path, "edit_turns.json")
    home = path.parent
    local, wide = (_captions(home / f"{n}.json") for n in ("local_captions", "global_descriptions"))
    found: dict[str, list[Turn]] = {}
    for number, row in enumerate(read_rows(path)):
        at = f"{path}: turn {number}"
        source, output = text_of(row, "input", at=at), text_of(row, "output", at=at)
        session = source.split("-")[0]
        if session in ("", ".", "..") or re.search(r"[/\\]", source + output):
            raise UserError(f"{at}: {source[:80]!r} is no file of images/ID/")
        folder = Path("images") / session
        near, far = local.get(session, {}), wide.get(session, {})
        mask = row.get("mask")
        if mask is not None and not isinstance(mask, str):
            raise UserError(f"{at}: 'mask' is no file name")
        turn = Turn(
            session,
            len(found.get(session, ())) + 1,
            inside(home, str(folder / source), said=at),
            inside(home, str(folder / output), said=at),
            text_of(row, "instruction", at=at),
            inside(home, str(folder / mask), said=at) if mask else None,
            _text(far.get(source)),
            _text(near.get(output)) or _text(far.get(output)) or "",
        )
        found.setdefault(session, []).append(turn)
    return home, found


def _captions(path: Path) -> dict[str, dict[str, Any]]:
    """Session -> file -> words; nothing where the file is not there."""
    if not path.is_file():
        return {}
    found = read_json(path)
    if not (isinstance(found, dict) and all(isinstance(row, dict) for row in found.values())):
        raise UserError(f"{path} must map sessions to their captions")
    return found


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
