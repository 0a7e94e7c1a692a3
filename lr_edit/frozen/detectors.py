"""Detectors of transformers behind one protocol: words in, boxes out; and masks inside boxes.

Supervised ways to find a region, beside the method's own. Every class says for itself how it is
asked; what it answers is read off its logits alike, since thresholds differ from model to model and
the best box is wanted, however sure it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import transformers
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import box_convert
from torchvision.transforms.functional import to_pil_image

from lr_edit.boxes import threshold_box
from lr_edit.errors import UserError
from lr_edit.frozen.weights import check_numbers, folder_of, loading, resolve
from lr_edit.profiles import Profile

_NEEDS = ("config.json", "model.safetensors")


@dataclass(frozen=True)
class Detection:
    """Boxes for some words, the best first.

    boxes   (n, 4) float: left, top, right, bottom in pixels, not clipped to the image
    scores  (n,) float in [0, 1]: how sure the detector is
    """

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]


@runtime_checkable
class Detector(Protocol):
    """Finds what words name."""

    def find(self, image: Float[Tensor, "1 3 side side"], words: str) -> Detection:
        """Every box that it has for the words in an image in [0, 1]; at least one."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Finds the outline of what a box holds."""

    def segment(
        self, image: Float[Tensor, "1 3 side side"], boxes: Int[Tensor, "n 4"]
    ) -> Bool[Tensor, "n side side"]:
        """One mask a box, on the CPU."""
        ...


def _asked_by_name(words: str) -> dict[str, Any]:
    return {"text": [[words]], "truncation": True}


def _asked_by_sentence(words: str) -> dict[str, Any]:
    return {"text": f"{words.lower().rstrip('.')}.", "truncation": True}  # as its card says


def _asked_plainly(words: str) -> dict[str, Any]:
    return {"text": [words], "truncation": True}


_ASKED: dict[str, Callable[[str], dict[str, Any]]] = {
    "OwlViTForObjectDetection": _asked_by_name,
    "Owlv2ForObjectDetection": _asked_by_name,
    "GroundingDinoForObjectDetection": _asked_by_sentence,
    "MMGroundingDinoForObjectDetection": _asked_by_sentence,
    "CLIPSegForImageSegmentation": _asked_plainly,
}


class ZeroShotDetector:
    """A model of transformers that finds what a text names, as `Detector`."""

    def __init__(self, model: Any, processor: Any, *, device: str | torch.device = "cpu") -> None:
        self._model = model.eval().requires_grad_(False).to(device)
        self._processor, self._device = processor, device
        self._ask = _ASKED[type(model).__name__]

    @torch.no_grad()
    def find(self, image: Float[Tensor, "1 3 side side"], words: str) -> Detection:
        """Every box of the model; the one about a heat map, where it has no boxes."""
        asked = self._processor(
            images=to_pil_image(image[0].cpu()), return_tensors="pt", **self._ask(words)
        )
        made, side = self._model(**asked.to(self._device)), image.shape[-1]
        if not hasattr(made, "pred_boxes"):
            heat = made.logits.float().cpu().view(made.logits.shape[-2:]).sigmoid()
            return Detection(threshold_box(heat, side=side, cell=1)[0].float(), heat.amax().view(1))
        scores = made.logits[0].float().sigmoid().amax(-1).cpu()
        order = scores.argsort(descending=True, stable=True)
        boxes = box_convert(made.pred_boxes[0].float().cpu(), "cxcywh", "xyxy") * side
        return Detection(boxes[order], scores[order])


class BoxSegmenter:
    """SAM 2 as `Segmenter`: the best of its masks for each box."""

    def __init__(self, model: Any, processor: Any, *, device: str | torch.device = "cpu") -> None:
        self._model = model.eval().requires_grad_(False).to(device)
        self._processor, self._device = processor, device

    @torch.no_grad()
    def segment(
        self, image: Float[Tensor, "1 3 side side"], boxes: Int[Tensor, "n 4"]
    ) -> Bool[Tensor, "n side side"]:
        """One mask a box, on the CPU."""
        asked = self._processor(
            images=to_pil_image(image[0].cpu()), input_boxes=[boxes.tolist()], return_tensors="pt"
        )
        made = self._model(**asked.to(self._device), multimask_output=False)
        masks = self._processor.post_process_masks(made.pred_masks.cpu(), asked["original_sizes"])
        return masks[0][:, 0].bool()


def load_detector(
    name: str, *, revision: str | None = None, device: str | torch.device = "cpu"
) -> ZeroShotDetector:
    """A detector through transformers' own loaders, from safetensors alone.

    Args:
        name: A hub id, as "IDEA-Research/grounding-dino-tiny", or `local-dir:FOLDER`.
        revision: The commit of a hub's repository.
        device: Where it computes, in float32.

    Raises:
        UserError: Weights are missing or unreadable, or of a class that finds nothing here.
    """
    kind = _class_of(name, revision=revision)
    if kind not in _ASKED:
        raise UserError(
            f"weights {name!r}: a {kind} is no detector here; those that are: {', '.join(_ASKED)}"
        )
    return ZeroShotDetector(
        *_load(name, getattr(transformers, kind), transformers.AutoProcessor, revision=revision),
        device=device,
    )


def detector_of(
    root: Path, profile: Profile, *, device: str | torch.device = "cpu"
) -> ZeroShotDetector:
    """The detector that a profile names; its `local-dir:` folder lies below `root`."""
    part = profile.model("detector")
    return load_detector(resolve(root, part.name), revision=part.revision, device=device)


def load_segmenter(
    name: str, *, revision: str | None = None, device: str | torch.device = "cpu"
) -> BoxSegmenter:
    """A SAM 2 through transformers' own loaders, from safetensors alone; as `load_detector`."""
    kind = _class_of(name, revision=revision)
    if kind not in ("Sam2Model", "Sam2VideoModel"):  # what the hub's configurations name
        raise UserError(f"weights {name!r}: a {kind} draws no masks here; a Sam2Model does")
    parts = transformers.Sam2Model, transformers.Sam2Processor
    return BoxSegmenter(*_load(name, *parts, revision=revision), device=device)


def _class_of(name: str, *, revision: str | None) -> str:
    with loading(name, needs=_NEEDS):
        config = transformers.AutoConfig.from_pretrained(_place(name), **_where(name, revision))
    return (config.architectures or ["model without a name"])[0]


def _load(name: str, model: Any, processor: Any, *, revision: str | None) -> tuple[Any, Any]:
    transformers.logging.disable_progress_bar()
    where = _where(name, revision)
    with loading(name, needs=_NEEDS):
        loaded = model.from_pretrained(
            _place(name), dtype=torch.float32, use_safetensors=True, **where
        )
        check_numbers(name, loaded)
        return loaded, processor.from_pretrained(_place(name), **where)


def _place(name: str) -> str:
    return str(folder_of(name) or name)


def _where(name: str, revision: str | None) -> dict[str, Any]:
    return {"revision": revision, "local_files_only": folder_of(name) is not None}
