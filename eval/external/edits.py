"""A folder of edits on disk: which file is which task's edit, and what its bytes are."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from eval.external.datasets import Dataset
from eval.external.datasets.contract import Picture, picture_digest
from eval.external.matching import Matching, match_edits
from eval.external.pairs import UnusableEdit
from lr_edit.errors import UserError
from lr_edit.files import read_bytes


def find_edits(dataset: Dataset, folder: Path) -> Matching:
    """Which file of a folder is the edit of which task.

    Raises:
        UserError: no folder, no edit at all, two files for a task or two tasks for a file, or the
            data set's own pictures.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of edits")
    names = {sample.task.id: sample.names for sample in dataset.samples}
    found = match_edits(names, list_files(folder))
    for task, files in found.doubled.items():
        raise UserError(f"two edits of task {task!r}: {folder / files[0]} and {files[1]}")
    for file, tasks in found.contested.items():
        one, other = tasks[:2]
        apart = [next((name for name in names[task] if name not in names[another]), None)
               for task, another in ((one, other), (other, one))]  # fmt: skip
        free, kind = [name for name in apart if name], Path(file).suffix
        wanted = " or ".join(repr(f"{Path(name).with_suffix('')}{kind}") for name in free)
        none = "the data set gives both one name, so that no file can be told to be either's"
        cure = f"name it {wanted}" if free else none
        raise UserError(f"{folder / file} could be the edit of {one!r} or of {other!r}: {cure}")
    if not found.found:
        example = dataset.samples[0].names[0]
        raise UserError(
            f"{folder} holds no edit of the {len(names)} tasks: name the files as the images; the "
            f"first would be {example if '.' in example else example + '.png'}"
        )
    own = {_inode(path) for sample in dataset.samples for path in sample.files} - {None}
    for file in found.found.values():
        if _inode(folder / file) in own:
            raise UserError(
                f"{folder / file} is the data set's own picture: --edits names the editor's results"
            )
    return found


def list_files(folder: Path) -> list[str]:
    """Every file below a folder, as a POSIX path from it; hidden ones apart."""
    found = []
    for home, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(home).relative_to(folder)
        found += [(below / name).as_posix() for name in sorted(files) if name[0] != "."]
    return found


def edit_digest(edit: Path) -> str:
    """sha256 of an edit. UnusableEdit for a link to nowhere, a pipe, what may not be read."""
    try:
        return sha256(read_bytes(edit, cure="replace it")).hexdigest()
    except UserError as error:
        raise UnusableEdit(f"edit {error}") from None


def is_copy(edit: Path, image: Picture, *, digest: str | None) -> bool:
    """Whether the edit is the source byte by byte, read only where their lengths agree."""
    if not isinstance(image, Path) or not image.is_file():
        return False
    return edit.stat().st_size == image.stat().st_size and digest == picture_digest(image)


def _inode(path: Path) -> tuple[int, int] | None:
    """What is one file by whatever name; None where nothing is."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
