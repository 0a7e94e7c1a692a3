"""Which file is the edit of which task: names in, an assignment out. Nothing is read.

A file belongs to one task. A task takes the file of its surest name that no other task could mean;
once it has, its other names are free again, so that what is left becomes plain. What stays unclear
is said and never guessed. Names are compared in Unicode's composed form (macOS keeps the other
one), suffixes without regard to case.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2"
)  # fmt: skip
NEAR = 3000  # extra files that a missing one is compared with: more take long


@dataclass(frozen=True)
class Matching:
    """Tasks in their own order, files by name.

    found      task -> its file
    missing    tasks that have none
    doubled    task -> the files that fit it equally well
    contested  file -> the tasks that it could belong to, one of which has no other
    extra      files of pictures that belong to no task
    """

    found: Mapping[str, str]
    missing: tuple[str, ...]
    doubled: Mapping[str, tuple[str, ...]]
    contested: Mapping[str, tuple[str, ...]]
    extra: tuple[str, ...]

    def nearest(self, name: str) -> str | None:
        """The extra file whose name is most like it; None where none is."""
        stems = {_stem(file): file for file in self.extra[:NEAR]}
        close = difflib.get_close_matches(_plain(name), list(stems), n=1)
        return stems[close[0]] if close else None


def match_edits(names: Mapping[str, Sequence[str]], files: Iterable[str]) -> Matching:
    """Give every task the one file that is its edit.

    Args:
        names: task id -> what its edit may be called, the surest first: POSIX paths; one with a
            picture's suffix means that very file, any other a picture of any kind.
        files: POSIX paths of what is there, as the file system spells them.

    Returns:
        The assignment, and everything that it leaves open.

    Example:
        >>> match_edits({"a": ["a"], "b": ["b"]}, ["a.PNG", "c.png"]).found
        {'a': 'a.PNG'}
    """
    exact, stems = _index(files)
    fitting = {task: _fitting(own, exact, stems) for task, own in names.items()}
    missing = tuple(task for task, ranks in fitting.items() if not ranks)
    wanted: dict[str, set[str]] = defaultdict(set)
    for task, ranks in fitting.items():
        for file in chain(*ranks):
            wanted[file].add(task)
    settled: dict[str, list[str]] = {}
    _settle(fitting, wanted, settled=settled)
    if _drop_shared(fitting, wanted, settled=settled):
        _settle(fitting, wanted, settled=settled)
    taken = set(chain(*settled.values()))
    unclear = {file: None for task, ranks in fitting.items() if task not in settled
               for rank in ranks[:1] for file in rank}  # fmt: skip
    place = {task: at for at, task in enumerate(names)}
    contested = {file: tuple(sorted(wanted[file], key=place.__getitem__)) for file in unclear}
    return Matching(
        {task: settled[task][0] for task in names if len(settled.get(task, ())) == 1},
        missing,
        {task: tuple(settled[task]) for task in names if len(settled.get(task, ())) > 1},
        contested,
        tuple(sorted(set(chain(*exact.values())) - taken - contested.keys())),
    )


def _settle(
    fitting: Mapping[str, list[list[str]]], wanted: Mapping[str, set[str]], *,
    settled: dict[str, list[str]],
) -> None:  # fmt: skip
    """Give every task the files of its surest name, if nobody else wants them; free its others."""
    queue = deque(task for task, ranks in fitting.items() if ranks and task not in settled)
    while queue:
        task = queue.popleft()
        if task in settled or any(len(wanted[file]) > 1 for file in fitting[task][0]):
            continue
        best, *others = fitting[task]
        settled[task] = best
        for file in set(chain(*others)) - set(best):
            wanted[file].discard(task)
            queue.extend(wanted[file])


def _drop_shared(
    fitting: dict[str, list[list[str]]], wanted: Mapping[str, set[str]], *,
    settled: Mapping[str, list[str]],
) -> bool:  # fmt: skip
    """Take a file that several tasks want from all of them, if each has one of its own."""
    alone = {task for task, ranks in fitting.items() if task not in settled
             and any(len(wanted[file]) == 1 for file in chain(*ranks))}  # fmt: skip
    shared = {file for file, tasks in wanted.items() if len(tasks) > 1 and tasks <= alone}
    for task in {task for file in shared for task in wanted[file]}:
        ranks = [[file for file in rank if file not in shared] for rank in fitting[task]]
        fitting[task] = [rank for rank in ranks if rank]
    for file in shared:
        wanted[file].clear()
    return bool(shared)


def _index(files: Iterable[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Pictures by their plain name, and by that without suffix."""
    exact, stems = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for file in files:
        if (suffix := _suffix(file)) in SUFFIXES:
            exact[_stem(file) + suffix].append(file)
            stems[_stem(file)].append(file)
    return exact, stems


def _fitting(
    names: Sequence[str], exact: Mapping[str, list[str]], stems: Mapping[str, list[str]]
) -> list[list[str]]:
    """The files of each name that has any, the surest name first."""
    ranks = []
    for name in names:
        if (suffix := _suffix(name)) in SUFFIXES:
            files, own = exact.get(_stem(name) + suffix, []), [name]
        else:
            files = stems.get(_plain(name), [])
            own = [file for file in files if file[: len(file) - len(_suffix(file))] == name]
        ranks.append([file for file in files if file in own] or files)  # spelled as it is
    return [rank for rank in ranks if rank]


def _suffix(file: str) -> str:
    """`.png` of a/b.PNG; nothing where the name has none."""
    name = file.rsplit("/", 1)[-1]
    return f".{name.rsplit('.', 1)[1]}".lower() if "." in name[1:] else ""


def _stem(file: str) -> str:
    return _plain(file[: len(file) - len(_suffix(file))])


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)
