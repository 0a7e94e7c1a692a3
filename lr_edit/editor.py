"""The way in from Python: models that are loaded once, and pictures edited by words."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from threading import RLock
from typing import Any, overload

import numpy as np
import torch
from PIL import Image

from lr_edit.amortise import read_prior
from lr_edit.budgeted_editor import Report, ScoredCandidate
from lr_edit.config import Config, load_config
from lr_edit.errors import Notice, Unfinished, UserError, shorten
from lr_edit.execution.environment import plain_torch
from lr_edit.frame import lay_over
from lr_edit.framed_anchors import FramedAnchors
from lr_edit.framed_models import Canvas, FramedInpainter, Made
from lr_edit.frozen.context import say_what_is_cut
from lr_edit.frozen.detectors import detector_of
from lr_edit.frozen.models import Models, check_device, load_models
from lr_edit.modes import RUN, EditJob, as_canvas
from lr_edit.photo_file import Picture
from lr_edit.progress import Callback, Progress
from lr_edit.request import Crop, Mode, Request, as_boxes, check_picture, read_picture
from lr_edit.result import Candidate, EditResult
from lr_edit.types import Box, EditTask, Merit
from lr_edit.workspace.paths import find_weights

Pictures = list[Any] | tuple[Any, ...]
Words = str | Sequence[str]
Boxes = Sequence[Box | Sequence[float]]


def _quietly(_what: str, _total: int) -> None:
    """No report."""


class Editor:
    """Edits pictures by words: where to edit is found, inpainted and judged by frozen models.

    Lin et al., Text-Driven Image Editing via Learnable Regions, CVPR 2024. Threads may share
    one; a process that is forked after an edit hangs in PyTorch, one that is spawned does not.

    Args:
        config: Sizes, sampler and budgets, as `load_config` reads them.
        models: The frozen models, as `load_models` loads them.
        root: The folder that holds the dataset-level nets which the profile names.

    Example:
        >>> from lr_edit import Editor
        >>> editor = Editor.from_profile("picturebook")
        >>> scene = "data/images/eval-006.png"
        >>> result = editor(scene, source="a yellow boat", prompt="a red cup on grass", seed=0)
        >>> result.image.size
        (64, 64)
        >>> result.box.area > 0 and result.nfe <= 200
        True
    """

    def __init__(self, config: Config, models: Models, *, root: Path) -> None:
        self.config = config
        self.models = models
        self._busy = RLock()  # schedulers and what is watched are one edit's at a time
        self._read_prior = cache(lambda proposals: read_prior(root, config, proposals=proposals))
        self._read_detector = cache(lambda: detector_of(root, config.models, device=models.device))

    @classmethod
    def from_profile(
        cls,
        name: str = "picturebook",
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        root: str | Path | None = None,
        study: str | Path | None = None,
        memory: Mapping[str, Any] | None = None,
    ) -> Editor:
        """Load the models of a profile.

        Args:
            name: "picturebook", "sd2", "flux-fill" or another of lr_edit/profiles.yaml, or a
                profile of `study`.
            device: Where they run, as torch names it; default: a GPU if there is one.
            dtype: The inpainter's; default: float16 on a GPU, float32 on a CPU.
            root: The folder that holds the folders of weights which the profile names; default:
                the working directory or one above it, then the checkout that is installed.
            study: A params.yaml that adds profiles or changes values.
            memory: What changes of the profile's: `offload` "auto", "none", "model" or "group",
                `tiling`, `quantise` "int8" or "nf4", `compile`. Default: what fits the GPU.

        Returns:
            An editor for any number of pictures.

        Raises:
            UserError: Where the profile, the device or the weights are not there, or the device
                cannot do what `memory` says.
        """
        if dtype is not None and not getattr(dtype, "is_floating_point", False):
            raise UserError(f"dtype {shorten(dtype)}: give torch.float16, bfloat16 or float32")
        if root is not None and not (isinstance(root, str | Path) and Path(root).is_dir()):
            raise UserError(f"root {shorten(root)} is no folder: name the one of the weights")
        config = load_config(Path(study) if study else None, profile=name)
        profile = config.models.with_memory(memory or {})
        place = find_weights(config.models, start=Path(root) if root else None)
        if root is not None and place not in (own := Path(root).resolve(), *own.parents):
            raise UserError(
                f"root {shorten(root)} holds no weights of the profile {name!r}: name the folder "
                "that holds them, or leave root out"
            )
        with plain_torch():
            models = load_models(place, profile, device=check_device(device), dtype=dtype)
        return cls(config, models, root=place)

    @overload
    def __call__(
        self, image: Pictures, *, source: Words, prompt: Words, mode: Mode = ...,
        budget: int | None = ..., rank: Merit | None = ..., boxes: Boxes | None = ...,
        mask: Any = ..., crop: Crop | None = ..., seed: int = ..., force: bool = ...,
        callback: Callback | None = ...,
    ) -> list[EditResult]: ...  # fmt: skip

    @overload
    def __call__(
        self, image: Any, *, source: str, prompt: str, mode: Mode = ..., budget: int | None = ...,
        rank: Merit | None = ..., boxes: Boxes | None = ..., mask: Any = ...,
        crop: Crop | None = ..., seed: int = ..., force: bool = ...,
        callback: Callback | None = ...,
    ) -> EditResult: ...  # fmt: skip

    def __call__(
        self, image: Any, *, source: Words, prompt: Words, mode: Mode = "detected",
        budget: int | None = None, rank: Merit | None = None, boxes: Boxes | None = None,
        mask: Any = None, crop: Crop | None = None, seed: int = 0, force: bool = False,
        callback: Callback | None = None,
    ) -> EditResult | list[EditResult]:  # fmt: skip
        """Edit one picture, or each of a list. Of several threads one edits, the others wait.

        Args:
            image: A path; a PIL picture; an array (height, width, 3), uint8 or float in [0, 1]; a
                tensor (3, height, width) or (1, 3, height, width), likewise; or a list of these.
                RGB, of any size and shape.
            source: What is edited, "a red boat"; for a list of pictures one text, or one each.
            prompt: The picture wanted, "a blue fish on sand"; likewise.
            mode: "detected", the box that the profile's detector finds by the source words;
                "grounded", the boxes that CLIP finds by them, and what "detected" does where there
                is no detector or it is not sure; where CLIP finds none, the race by the loss;
                "race", previews of most boxes and full quality for the best, within the budget;
                "enumerate", every box at full quality; "amortised", the boxes that nets trained on
                other pictures find most probable; "paper", the paper's procedure: every box,
                AnchorNet trained on this picture, one edit per anchor, highest S.
            budget: NFE (UNet evaluations) at most, in the modes "detected", "grounded", "race" and
                "amortised"; default: the profile's, or one box. What one box takes buys the first.
            rank: What the best is best by: "S" (paper, section 3.4) or "loss" (its Eq. 6).
            boxes: Boxes of your own, half-open (left, top, right, bottom) in pixels of the picture:
                these alone are inpainted, all of them, and the best wins.
            mask: What may change, in place of boxes: a picture of any kind, white there and as
                large as each picture, or an array of truths.
            crop: "context" inpaints each box in a square of the picture about it, at the models'
                own resolution; "whole" in the whole picture, reduced to their square. Default: the
                square where the picture is larger than the models see. Where to edit is always
                looked for in the whole picture; "paper" stretches it to the models' square, all
                other modes keep its shape.
            seed: Of the starting noise; the same seed gives the same edit, whatever kind of picture
                the same pixels came as.
            force: Let picture-book weights, which know 64x64 drawings alone, edit anything.
            callback: Called with the share that is done, from 0 to 1, and with words for what
                happens next.

        Returns:
            An `EditResult`, or a list of them in the order of the pictures.

        Raises:
            UserError: For a picture, words, boxes or a mask that cannot be, and too small a budget.
            Unfinished: Where no candidate could be scored.
        """
        own = None if boxes is None else as_boxes(boxes)
        many = list(image) if isinstance(image, list | tuple) else [image]
        how: dict[str, Any] = {"mode": mode, "budget": budget, "rank": rank, "boxes": own,
                               "mask": mask, "seed": seed, "crop": crop}  # fmt: skip
        texts = zip(_each(source, len(many)), _each(prompt, len(many)), strict=True)
        requests = [Request(*words, **how) for words in texts]
        pictures = [read_picture(one) for one in many]
        for picture, request in zip(pictures, requests, strict=True):
            check_picture(picture, request, profile=self.config.models, force=force)
        results = []
        for at, (picture, request) in enumerate(zip(pictures, requests, strict=True)):
            share = Progress(callback, at=at, many=len(many), nfe=self.models.inpainter.nfe)
            results.append(self._edit(picture, request, share))
        return results if isinstance(image, list | tuple) else results[0]

    def _edit(self, picture: Picture, request: Request, progress: Progress) -> EditResult:
        with self._busy, plain_torch(self.models.device):
            return self._edit_alone(picture, request, progress)

    def _edit_alone(self, picture: Picture, request: Request, progress: Progress) -> EditResult:
        self._say_what_is_not_read(request)
        canvas = as_canvas(picture, request, profile=self.config.models)
        framed = FramedInpainter(self.models.inpainter, canvas)
        job = self.prepare(canvas, request, report=progress.report)
        job = replace(job, models=replace(job.models, inpainter=framed))
        run = RUN["enumerate" if canvas.own else request.mode]
        framed.watch = progress.watch
        try:
            done = run(job)
        finally:
            framed.watch = None
        if np.isnan(done.candidates[0].score):
            raise Unfinished("no candidate could be scored: the inpainter gave no pictures")
        progress.end()
        scored = [one for one in done.candidates if not np.isnan(one.score)]
        if failed := len(done.candidates) - len(scored):
            warnings.warn(f"{failed} of {len(done.candidates)} candidates are no pictures: they "
                          "have no score and win nothing", Notice, 4)  # fmt: skip
        shown = tuple(
            Candidate(
                framed.made[one.box].place,
                one.score,
                one.loss,
                partial(_compose, picture, one, canvas=canvas, made=framed.made[one.box],
                        feather=self.config.inpaint.feather),
            )
            for one in scored
        )  # fmt: skip
        return EditResult(
            shown,
            done.nfe,
            request.source,
            request.prompt,
            "enumerate" if canvas.own else request.mode,
            request.seed,
            picture.path and picture.path.absolute(),
        )

    def prepare(self, canvas: Canvas, request: Request, *, report: Report = _quietly) -> EditJob:
        """What a mode needs to know of one picture; `report` is told what it does next."""
        profile = self.config.models
        anchors = FramedAnchors(self.models.anchors, part=canvas.part, side=profile.side)
        study = self.config.study.model_copy(update={"seed": request.seed})
        return EditJob(
            models=replace(self.models, anchors=anchors, part=canvas.part),
            config=self.config.model_copy(update={"study": study}),
            # One id for all: equal pixels get equal noise, whatever they are called.
            task=EditTask("edit", Path("edit"), request.source, request.prompt),
            source=canvas.square,
            boxes=torch.tensor([box.as_tuple() for box in canvas.own]) if canvas.own else None,
            rank=request.rank,
            budget=request.budget,
            read_prior=self._read_prior,
            read_detector=self._read_detector,
            report=report,
        )

    def _say_what_is_not_read(self, request: Request) -> None:
        if self.config.models.world == "picturebook":
            from lr_edit.picturebook.words import unknown_words

            texts = (request.source, request.prompt)
            if unknown := dict.fromkeys(word for text in texts for word in unknown_words(text)):
                words = ", ".join(map(repr, list(unknown)[:5]))
                warnings.warn(f"the models of the picture book do not know {words}: README says "
                              "which words they know", Notice, 5)  # fmt: skip
        score = self.config.score
        for name, words in (
            ("the source", score.source.format(request.source)),
            ("the prompt", score.prompt.format(request.prompt)),
        ):
            say_what_is_cut(self.models.clip, {name: words})


def _compose(
    picture: Picture, one: ScoredCandidate, *, canvas: Canvas, made: Made, feather: float
) -> Image.Image:
    """A candidate in the picture's own pixels and colours."""
    if canvas.is_square and not picture.profile:  # the method has laid it over
        return Image.fromarray(one.image.permute(1, 2, 0).numpy())
    return picture.as_image(
        lay_over(
            picture.pixels, picture.from_srgb(made.patch), frame=made.frame, box=made.place,
            feather=feather, mask=canvas.mask,
        )
    )  # fmt: skip


def _each(words: Words, many: int) -> list[str]:
    """A text for each picture: the one given, or as many as there are pictures."""
    if not isinstance(words, str | list | tuple):
        raise UserError(f"{shorten(words)} is no text: say what to edit, and into what picture")
    texts = [words] * many if isinstance(words, str) else list(words)
    if len(texts) != many:
        raise UserError(f"{many} pictures and {len(texts)} texts: give one text, or one for each")
    return texts
