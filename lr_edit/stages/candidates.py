"""candidates@proposals: tasks -> every candidate of a proposal set, inpainted and scored.

The one stage that runs diffusion. A finished task is kept by content (its bytes, words,
parameters, weights and code), so a killed run goes on where it was, and nothing is inpainted twice.
Where nothing is missing, no model library is imported.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lr_edit.config import Config
from lr_edit.errors import Notice, Unfinished, UserError
from lr_edit.execution.local import Execute, Failed, choose_executor
from lr_edit.frozen import weights
from lr_edit.profiles import NEEDED, Profile
from lr_edit.types import Bank, EditTask, Track
from lr_edit.workspace.cache import Cache
from lr_edit.workspace.code import code_digest
from lr_edit.workspace.folders import new_folder
from lr_edit.workspace.parameters import keep_parameters
from lr_edit.workspace.paths import cache_folder
from lr_edit.workspace.storage import (
    content_key,
    study_image,
    study_tasks,
    write_bank,
    write_tensors,
)

if TYPE_CHECKING:
    from lr_edit.frozen.detectors import Detector, Segmenter
    from lr_edit.frozen.models import Models

_FOLDERS = {"tables": "artifacts/tables", "images": "artifacts/candidates"}  # of parts of a task


@dataclass(frozen=True)
class CandidateTask:
    """A task to be inpainted, and its source, uint8 (3, h, w), the longer side the models'."""

    task: EditTask
    source: np.ndarray


def run(
    root: Path, config: Config, *, name: str, track: Track, execute: Execute | None = None
) -> int:
    """Fill artifacts/tables/NAME and artifacts/candidates/NAME; tasks inpainted before are
    copied. Returns how many were not.

    Raises Unfinished with the tasks that failed, after all others are made and kept.
    """
    with ExitStack() as stack:
        outs = {
            part: stack.enter_context(new_folder(root / place / name))
            for part, place in _FOLDERS.items()
        }
        return _fill(root, config, name, outs=outs, track=track, execute=execute)


def _fill(
    root: Path,
    config: Config,
    name: str,
    *,
    outs: dict[str, Path],
    track: Track,
    execute: Execute | None,
) -> int:
    cache = Cache(cache_folder(root), "candidates")
    maker = CandidateMaker(root, config, name=name)
    tasks = study_tasks(root)
    keys = {task.id: maker.key(task, study_image(root, task)) for task in tasks}
    files = {
        task.id: {part: out / f"{task.id}.safetensors" for part, out in outs.items()}
        for task in tasks
    }
    missing = [
        task for task in tasks if not cache.restore(keys[task.id], files[task.id].__getitem__)
    ]
    if not missing:
        return 0
    _say_what_is_cut(root, config, missing)
    items = (CandidateTask(task, study_image(root, task)) for task in missing)
    small = config.models.world == "picturebook"
    execute = execute or choose_executor(len(missing), small=small)
    failed, without_picture = {}, 0
    for item, made in track(execute(items, maker), f"candidates {name}", total=len(missing)):
        here = files[item.task.id]
        if isinstance(made, Failed):
            failed[item.task.id] = made
            continue
        bank, images = made
        without_picture += int(np.isnan(bank.score).sum())
        write_tensors(here["images"], {"images": images})
        write_bank(here["tables"], bank)
        cache.keep(keys[item.task.id], here)
    if without_picture:
        warnings.warn(
            f"{without_picture} candidates of {name} are no pictures: they have no score and win "
            "nothing", Notice, stacklevel=2
        )  # fmt: skip
    if failed:
        raise _unfinished(failed, name, of=len(tasks))
    return len(missing)


def _say_what_is_cut(root: Path, config: Config, tasks: list[EditTask]) -> None:
    """Words that CLIP does not read to their end; it is loaded where some are long."""
    from lr_edit.frozen.context import may_be_cut, say_what_is_cut

    score, part = config.score, config.models.clip
    texts = {
        f"the {name} of task {task.id!r}": template.format(words)
        for task in tasks
        for name, template, words in (
            ("source", score.source, task.source), ("prompt", score.prompt, task.prompt)
        )
        if may_be_cut(words)
    }  # fmt: skip
    if texts:
        from lr_edit.frozen.clip import load_clip

        say_what_is_cut(load_clip(weights.resolve(root, part.name), part.pretrained), texts)


class CandidateMaker:
    """Makes a task's candidates; models are loaded at the first one, wherever that is."""

    def __init__(self, root: Path, config: Config, *, name: str) -> None:
        self._root, self._profile, self._name = root, config.models, name
        self._config = _own_parameters(config, name)
        self._way = WAYS.get(config.proposal_set(name).boxes, INPAINTED)
        self._common = self._common_key()
        self._models: Any = None

    def key(self, task: EditTask, source: np.ndarray) -> str:
        """A task's key in the cache: everything that its candidates depend on."""
        return content_key(self._common, asdict(task) | {"image": None}, source)

    def __call__(self, item: CandidateTask) -> tuple[Bank, np.ndarray]:
        """The bank, and its candidates as uint8 (points, sizes, 3, h, w)."""
        if self._models is None:
            if self._common_key() != self._common:
                raise UserError(
                    f"{platform.node()} has other code, libraries or weights in {self._root}:"
                    " bring every machine to the same commit and packages, and run `dvc pull` there"
                )
            self._models = self._way.load(self._root, self._profile)
        return self._way.make(self._models, item, config=self._config, name=self._name)

    def _common_key(self) -> str:
        """Everything that candidates depend on beside the task."""
        profile, how = self._profile, self._config.proposal_set(self._name)
        frozen = [profile.anchors, profile.clip, profile.inpainter, profile.tiny_vae]
        frozen += [profile.model(role) for role in NEEDED.get(how.boxes, ())]
        return content_key(
            code_digest(__name__, self._way.load.__name__, self._way.make.__name__),
            [part and weights.identify(self._root, part) for part in frozen]
            + ([profile.memory.moves] if profile.memory.moves else []),
            self._config.model_dump(mode="json"),
            asdict(how.inpaint.sampler),
        )


def _own_parameters(config: Config, name: str) -> Config:
    """The parameters that candidates depend on, and no others: what is not here, their making
    cannot read. The batch is among them, since it moves convolutions' last bits."""
    profile = f"profiles.{config.profile}"
    sides = (f"{profile}.{key}" for key in ("side", "cell", "attention_side"))
    return keep_parameters(config, ["profile", *sides, "study.seed", "score", f"proposals.{name}"])


def _load(root: Path, profile: Profile) -> Models:
    from lr_edit.frozen.models import load_models

    return load_models(root, profile)


def _make(
    models: Models, item: CandidateTask, *, config: Config, name: str
) -> tuple[Bank, np.ndarray]:
    from lr_edit.method import make_bank
    from lr_edit.own_shape import in_own_shape

    make = partial(make_bank, task=item.task, config=config, how=config.proposal_set(name))
    return in_own_shape(make, models, picture=item.source, profile=config.models)


def _load_detector(root: Path, profile: Profile) -> tuple[Models, Detector, None]:
    from lr_edit.frozen.detectors import detector_of

    models = _load(root, profile)
    return models, detector_of(root, profile, device=models.device), None


def _load_segmenter(root: Path, profile: Profile) -> tuple[Models, Detector, Segmenter]:
    from lr_edit.frozen.detectors import load_segmenter

    (models, detector, _), part = _load_detector(root, profile), profile.model("segmenter")
    name = weights.resolve(root, part.name)
    return models, detector, load_segmenter(name, revision=part.revision, device=models.device)


def _make_detected(
    loaded: tuple[Models, Detector, Segmenter | None],
    item: CandidateTask,
    *,
    config: Config,
    name: str,
) -> tuple[Bank, np.ndarray]:
    from lr_edit.detect import detected_bank
    from lr_edit.own_shape import in_own_shape

    models, detector, segmenter = loaded
    make = partial(
        detected_bank, task=item.task, detector=detector, segmenter=segmenter, config=config,
        how=config.proposal_set(name),
    )  # fmt: skip
    return in_own_shape(make, models, picture=item.source, profile=config.models)


def _load_editor(root: Path, profile: Profile) -> Models:
    from lr_edit.frozen.editors import load_with_editor

    return load_with_editor(root, profile)


def _make_whole(
    models: Models, item: CandidateTask, *, config: Config, name: str
) -> tuple[Bank, np.ndarray]:
    from lr_edit.instruct import instructed_bank
    from lr_edit.own_shape import in_own_shape

    make = partial(instructed_bank, task=item.task, config=config, how=config.proposal_set(name))
    return in_own_shape(make, models, picture=item.source, profile=config.models)


@dataclass(frozen=True)
class Way:
    """A way to make candidates: its functions, which stand for it in the key."""

    load: Callable[..., Any]
    make: Callable[..., tuple[Bank, np.ndarray]]


INPAINTED = Way(_load, _make)
WAYS = {  # by a proposal set's boxes
    "detected": Way(_load_detector, _make_detected),
    "segmented": Way(_load_segmenter, _make_detected),
    "whole": Way(_load_editor, _make_whole),
}


def _unfinished(failed: dict[str, Failed], name: str, *, of: int) -> Unfinished:
    """Every task that failed, by name; `--debug` shows where the first one did."""
    causes = "; ".join(f"{task} ({why.cause})" for task, why in failed.items())
    error = Unfinished(
        f"{len(failed)} of {of} tasks of candidates {name} failed: {causes};"
        " the others are kept, run again for these alone"
    )
    error.__cause__ = RuntimeError(next(iter(failed.values())).trace)
    return error
