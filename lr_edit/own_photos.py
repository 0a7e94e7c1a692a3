"""Photos of one's own, and the words of their edits -> the tasks.json of their folder.

docs/own-photos.md states the formats. Nothing is written unless all of it can be, and no photo,
mask or table is ever written to.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import gettempdir

import numpy as np
from filelock import FileLock

from lr_edit.edit_table import NEEDED, Row
from lr_edit.errors import UserError, shorten
from lr_edit.profiles import Profile
from lr_edit.request import (
    Picture,
    Request,
    as_box,
    check_picture,
    check_world,
    mask_box,
)
from lr_edit.types import Box, EditTask, Truth
from lr_edit.workspace.storage import content_key, find_tasks, read_image, write_tasks
from lr_edit.workspace.tasks import inside


@dataclass(frozen=True)
class Added:
    """What became of the rows: tasks that are new, that took another's place, that were there."""

    new: tuple[EditTask, ...]
    replaced: tuple[EditTask, ...]
    same: int


class BrokenList(UserError):
    """The folder's own list of tasks cannot be read: no row of a table is to blame."""


def add_photos(
    folder: Path,
    rows: Sequence[Row],
    *,
    profile: Profile,
    force: bool = False,
    overwrite: bool = False,
    problems: Sequence[str] = (),
) -> Added:
    """Write FOLDER/tasks.json: what it holds, and a task for each row.

    Args:
        folder: Where the photos lie.
        rows: Their edits.
        profile: Whose weights will edit them.
        force: Let picture-book weights have what is no drawing.
        overwrite: Whether a task that is there may get other words, or another box.
        problems: What is wrong with other rows already.

    Returns:
        What was added.

    Raises:
        UserError: All that is wrong, a sentence a line; nothing is written then.
    """
    with _alone(folder):
        return _add(folder, rows, profile, force=force, overwrite=overwrite, problems=problems)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer of a folder's list at a time; nothing is left in the folder for that."""
    name = content_key(folder.resolve().as_posix())[:16]
    with FileLock(Path(gettempdir()) / f"lr-edit-{name}.lock", mode=0o666):
        yield


def _add(
    folder: Path,
    rows: Sequence[Row],
    profile: Profile,
    *,
    force: bool,
    overwrite: bool,
    problems: Sequence[str],
) -> Added:
    known, place = _known_tasks(folder), inside(folder, "tasks.json", said="the list of tasks")
    wrong, made, strange = list(problems), list[tuple[Row, EditTask]](), dict[str, str]()
    seen: dict[tuple[str, ...], str] = {}
    for row in rows:
        image, mask = _spelled(folder, row.image), _spelled(folder, row.mask)
        row = replace(row, image=image, mask=mask)
        try:
            edit = (PurePosixPath(row.image).as_posix(), row.source, row.prompt, row.mask, row.box)
            if (first := seen.setdefault(edit, row.at)) != row.at:
                raise UserError(f"the same edit as {first}: drop one of them")
            task, picture = _task(folder, row, profile)
        except UserError as error:
            wrong.append(_placed(row, str(error)))
            continue
        made.append((row, task))
        for said in _refused(picture, profile, force=force):
            strange[row.image] = said
    if strange:
        first, *others = strange
        too = f"; nor do they know {', '.join(others)}" if others else ""
        wrong.append(strange[first] + too)
    tasks, added, clashes = _merge(known, made, overwrite=overwrite)
    if wrong := wrong + clashes:
        raise UserError("\n".join(wrong))
    if added.new or added.replaced:
        write_tasks((folder / place).resolve(), tasks)  # a link stays one
    return added


def _task(folder: Path, row: Row, profile: Profile) -> tuple[EditTask, Picture]:
    """A task whose id is not settled yet, and its photo; UserError for the first thing wrong."""
    wrong = [f"the {name} is empty: write one" for name in NEEDED if not getattr(row, name)]
    if row.image and wrong:
        try:
            read_image(folder / inside(folder, row.image, said="the image"))
        except UserError as error:
            wrong.append(str(error))
    if wrong:
        raise UserError("; ".join(wrong))
    image = inside(folder, row.image, said="the image")
    picture = Picture(read_image(folder / image), image)
    if row.mask and row.box:
        raise UserError("a mask and a box: keep one of them")
    box = as_box(_numbers(row.box)) if row.box else None
    box = _box_of(folder, row.mask, picture) if row.mask else box
    if box is not None:
        request = Request(row.source, row.prompt, boxes=(box,), crop="whole")  # as studies see it
        check_picture(picture, request, profile=profile, force=True)
    truth = None if box is None else Truth(box, None)
    return EditTask(_plain(image.stem), image, row.source, row.prompt, truth=truth), picture


def _spelled(folder: Path, name: str) -> str:
    """A file's name as the disk has it, which may write an accent in another way than a table; as
    it is where no file has it, or more than one."""
    if name.isascii() or os.path.lexists(folder / name):
        return name
    place = PurePosixPath()
    for part in PurePosixPath(name).parts:
        try:
            known = os.listdir(folder / place)
        except (OSError, ValueError):  # no folder, or no name that a disk can have
            return name
        alike = [one for one in known if _composed(one) == _composed(part)]
        place /= alike[0] if len(alike) == 1 else part
    return place.as_posix()


def _numbers(text: str) -> list[float]:
    try:
        if not text.isascii() or "_" in text:
            raise ValueError
        return [float(side) for side in text.replace(";", ",").replace(" ", ",").split(",") if side]
    except ValueError:
        raise UserError(
            f"box {shorten(text)}: write left,top,right,bottom in whole pixels"
        ) from None


def _box_of(folder: Path, name: str, picture: Picture) -> Box:
    """The box about what is white in a mask."""
    path = folder / inside(folder, name, said="the mask")
    values = read_image(path)
    if values.shape != picture.pixels.shape:
        sizes = " and ".join(f"{one.shape[1]}x{one.shape[0]}" for one in (values, picture.pixels))
        raise UserError(f"mask {path} and its photo are of {sizes} pixels: save them at one size")
    if not np.isin(values, (0, 255)).all() or (values != values[..., :1]).any():
        raise UserError(f"mask {path} is not black and white: save it as PNG, white where edited")
    if not values.any():
        raise UserError(f"mask {path} is all black: make white what is to be edited")
    return mask_box(values[..., 0] > 0)


def _refused(picture: Picture, profile: Profile, *, force: bool) -> Iterator[str]:
    """What is said of a photo that the profile's weights cannot know."""
    try:
        if not force:
            check_world(picture, profile)
    except UserError as error:
        yield str(error)


def _known_tasks(folder: Path) -> dict[str, EditTask]:
    """The tasks that the folder has, by their key; `BrokenList` where its list cannot be read."""
    there = any((folder / name).is_file() for name in ("tasks.json", "images.json"))
    try:
        return {_key(task.id): task for task in (find_tasks(folder) if there else [])}
    except UserError as error:
        raise BrokenList(str(error)) from None


def _merge(
    known: dict[str, EditTask], made: Sequence[tuple[Row, EditTask]], *, overwrite: bool
) -> tuple[list[EditTask], Added, list[str]]:
    """All tasks of the folder, the old ones first; what was added; what cannot be.

    A task is known by its photo and its edit, not by where it stands in a table.
    """
    tasks, wrong = dict(known), list[str]()
    new, replaced, same = list[EditTask](), list[EditTask](), 0
    there, given = {_edit(task) for task in known.values()}, {_edit(task) for _, task in made}
    left: dict[Path, list[EditTask]] = {task.image: [] for _, task in made}
    for task in known.values():  # edits of these photos that no row names
        if task.image in left and _edit(task) not in given:
            left[task.image].append(task)
    waiting = Counter(task.image for _, task in made if _edit(task) not in there)
    for row, task in made:
        if _edit(task) in there:
            same += 1
            continue
        others, waiting[task.image] = left[task.image], waiting[task.image] - 1
        if overwrite and len(others) > waiting[task.image] + 1 and not _same_words(others, task):
            ids = ", ".join(one.id for one in others)
            wrong.append(_placed(row, f"it could replace any of {ids}: give a table of all edits "
                                 f"of {task.image}, or edit tasks.json"))  # fmt: skip
            continue
        # A line of a table stands for an edit that it no longer has; words on the command line
        # are one more, unless they are to take the other's place.
        old = _taken_place(left[task.image], task) if row.at or overwrite else None
        if old is None:
            task = replace(task, id=_free(task.id, tasks))
            new.append(task)
        elif overwrite:
            task = replace(old, source=task.source, prompt=task.prompt, truth=task.truth)
            replaced.append(task)
        else:
            words = f"another edit, {old.source!r} -> {old.prompt!r}"
            same_words = (old.source, old.prompt) == (task.source, task.prompt)
            wrong.append(_placed(row, f"task {old.id!r} is there already with "
                                 f"{'another box' if same_words else words}: say --overwrite to "
                                 "replace it, or name both edits in the table"))  # fmt: skip
            continue
        tasks[_key(task.id)] = task
    return list(tasks.values()), Added(tuple(new), tuple(replaced), same), wrong


def _taken_place(left: list[EditTask], task: EditTask) -> EditTask | None:
    """Which of a photo's other edits a new one stands for, taken from them: the one of the same
    words, else the first."""
    if not left:
        return None
    alike = _same_words(left, task)
    return left.pop(left.index(alike[0]) if alike else 0)


def _same_words(left: list[EditTask], task: EditTask) -> list[EditTask]:
    words = (task.source, task.prompt)
    return [one for one in left if (one.source, one.prompt) == words]


def _edit(task: EditTask) -> tuple[Path, str, str, Truth | None]:
    """What makes two tasks one edit of one photo."""
    return task.image, task.source, task.prompt, task.truth


def _free(name: str, taken: Container[str]) -> str:
    """NAME, NAME-2 and so on, whatever is not taken."""
    number, free = 1, name
    while _key(free) in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _key(name: str) -> str:
    """Some disks know neither case nor how an accent is written."""
    return _composed(name).casefold()


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _plain(stem: str) -> str:
    """A task's id from a file's name: other signs than letters, digits, '-', '_', '.' are '-'."""
    plain = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in stem)
    return plain.lstrip(".")[:60] or "photo"


def _placed(row: Row, said: str) -> str:
    return f"{row.at}: {said}" if row.at else said
