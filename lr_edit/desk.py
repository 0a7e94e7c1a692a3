"""Edits for many people, one after the other, by models that are loaded once: what `lr-edit app`
shows of each, as it comes to be known."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from lr_edit.editor import Editor
from lr_edit.errors import Notice, UserError
from lr_edit.illustrate import (
    Places,
    draw_attention,
    draw_boxes,
    draw_mask,
    find_places,
    fit_to_screen,
    write_command,
)
from lr_edit.photo_file import read_photo
from lr_edit.picturebook.tasks import make_task
from lr_edit.picturebook.world import draw
from lr_edit.request import Picture, Request, check_picture
from lr_edit.result import EditResult
from lr_edit.types import EditTask
from lr_edit.workspace.paths import locate
from lr_edit.workspace.storage import find_tasks, write_image

MOST = 12  # candidates that are shown
EXAMPLES = 6  # pictures to try
BUDGETED = ("grounded", "race", "amortised")  # modes for which the page asks how many evaluations
FOUND = "Places are found; candidates are on their way."
Tell = Callable[[float, str], Any]


@dataclass(frozen=True)
class Example:
    """A picture to try, its words, and what the command line calls the picture."""

    path: Path
    source: str
    prompt: str
    name: str


@dataclass(frozen=True)
class Wish:
    """What a person filled in; numbers may be missing, or no whole ones."""

    photo: str | None
    source: str
    prompt: str
    mode: str
    budget: float | None
    seed: float | None


class Stopped(Exception):
    """The person who asked for an edit no longer wants it."""


class Desk:
    """Takes wishes, gives what is to be seen.

    Args:
        editor: With its models loaded.
        folder: Where pictures to download, and examples that are drawn, are written.
        root: Where the profile's data is looked for; its first pictures are the examples.
        profile: For the command that repeats an edit; None where it is the default.
        force: Let picture-book weights edit what is no drawing.
    """

    def __init__(
        self, editor: Editor, *, folder: Path, root: Path, profile: str | None = None,
        force: bool = False,
    ) -> None:  # fmt: skip
        self.editor, self._folder, self._profile, self._force = editor, folder, profile, force
        self.examples = find_examples(editor, root=root, folder=folder / "examples")
        self._stopped: set[str | None] = set()
        self._busy = Lock()

    def budget_of(self, mode: str) -> int | None:
        """The profile's own budget, in UNet evaluations; None where the page asks for none."""
        config = self.editor.config
        own = {
            "grounded": config.models.grounded,
            "race": config.race.budget,
            "amortised": config.amortised.budget,
        }
        return own.get(mode)

    def stop(self, person: str | None) -> None:
        """End a person's edit at its next step."""
        self._stopped.add(person)

    def edit(self, wish: Wish, *, person: str | None, tell: Tell) -> Iterator[dict[str, Any]]:
        """What is to be shown, by its name: first where the edit may be, then the edit.

        Args:
            wish: What the person filled in.
            person: Whoever `stop` may name.
            tell: Called with the share that is done, from 0 to 1, and with what happens next.

        Raises:
            UserError: For a picture, words or numbers that cannot be.
            Unfinished: Where no candidate could be scored.
            Stopped: Where the person no longer wants it.
        """
        self._stopped.discard(person)

        def go_on(share: float, what: str) -> None:
            if person in self._stopped:
                raise Stopped
            tell(share, what)

        picture, name = self._read(wish.photo)
        request = as_request(wish)
        check_picture(picture, request, profile=self.editor.config.models, force=self._force)
        # The lock is never held over a yield: who stops an edit may never come back for the rest.
        with self._busy:
            go_on(0.0, "looking at the picture")
            places = self._show_places(picture, request)
        yield places
        with self._busy, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", Notice)
            result = self.editor(
                picture.as_image(picture.pixels), source=request.source, prompt=request.prompt,
                mode=request.mode, budget=request.budget, seed=request.seed, force=self._force,
                callback=go_on,
            )  # fmt: skip
        command = write_command(request, name, profile=self._profile, force=self._force)
        notes = [str(one.message) for one in said]
        yield {**self._show_result(picture, result), "command": command, "notes": notes}

    def _read(self, photo: str | None) -> tuple[Picture, str]:
        """An upload, and what the command line calls it."""
        if not photo:
            raise UserError("there is no picture: upload one, or take an example")
        path = Path(photo)
        data = path.read_bytes()
        same = [one for one in self.examples if one.path.name == path.name]
        name = next((one.name for one in same if one.path.read_bytes() == data), path.name)
        return replace(read_photo(data, name=path.name), path=Path(path.name)), name

    def _show_places(self, picture: Picture, request: Request) -> dict[str, Any]:
        places = find_places(self.editor, picture, request=request)
        plain = Image.fromarray(picture.pixels)
        return {
            "attention": draw_attention(plain, places.attention),
            "boxes": draw_boxes(plain, places.boxes),
            "status": say_where(places, request),
        }

    def _show_result(self, picture: Picture, result: EditResult) -> dict[str, Any]:
        stem = picture.path.stem if picture.path else "picture"
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        edited, mask = folder / f"{stem}.edit.png", folder / f"{stem}.mask.png"
        result.image.save(edited)
        draw_mask(result).save(mask)
        return {
            "slider": (fit_to_screen(Image.fromarray(picture.pixels)), fit_to_screen(result.image)),
            "candidates": [
                (draw_boxes(one.image, [one.box]), f"S {one.score:.3f}, L {one.loss:.3f}")
                for one in result.candidates[:MOST]
            ],
            "picture": edited,
            "mask": mask,
            "status": describe(result),
        }


def say_where(places: Places, request: Request) -> str:
    """Where the edit will be, in one line."""
    if request.mode not in ("detected", "grounded"):
        return FOUND
    if places.finder is None:
        return "These words are not found in the picture: boxes are raced for."
    return f"{places.finder} found the words. {FOUND}"


def describe(result: EditResult) -> str:
    """An edit in one line."""
    left, top, right, bottom = result.box.as_tuple()
    many = len(result.candidates)
    of = f"The best of {many} candidates, in " if many > 1 else "In "
    return f"{of}the box {left}, {top}, {right}, {bottom}; {result.nfe} UNet evaluations"


def as_request(wish: Wish) -> Request:
    """UserError where a wish cannot be."""
    budget = _whole(wish.budget, "budget") if wish.mode in BUDGETED else None
    seed = _whole(wish.seed, "seed") or 0
    return Request(wish.source, wish.prompt, wish.mode, budget=budget, seed=seed)  # type: ignore[arg-type]


def find_examples(editor: Editor, *, root: Path, folder: Path) -> list[Example]:
    """The first pictures of the profile's data, copied to `folder`; where there are none, drawings,
    if the models know drawings."""
    profile = editor.config.models
    data = locate(root, profile.data)
    if (data / "tasks.json").is_file():
        tasks = [task for task in find_tasks(data) if task.split == "dev"][:EXAMPLES]
        there = [task for task in tasks if (data / task.image).is_file()]
        return [_copy(task, data / task.image, folder) for task in there]
    if profile.world != "picturebook":
        return []
    made = [make_task("replace", "dev", index=index) for index in range(EXAMPLES)]
    return [_draw(task, draw(before), folder) for task, before, _ in made]


def _copy(task: EditTask, image: Path, folder: Path) -> Example:
    place = folder / task.id / image.name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(image, place)
    here = Path.cwd()
    seen = image.relative_to(here) if image.is_relative_to(here) else image
    return Example(place, task.source, task.prompt, str(seen))


def _draw(task: EditTask, image: np.ndarray, folder: Path) -> Example:
    place = folder / task.image.name
    write_image(place, image)
    return Example(place, task.source, task.prompt, place.name)


def _whole(value: float | None, name: str) -> int | None:
    if value is not None and value != int(value):
        raise UserError(f"the {name} is {value:g}: give a whole number")
    return None if value is None else int(value)
