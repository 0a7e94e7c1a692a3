"""The small detector, a stand-in for GroundingDINO and OWLv2: a name in, where its thing is out.

What enters is drawn scenes, which know the box of every thing; what leaves is an
OwlViTForObjectDetection in transformers' own format. It is the supervised way to find a region: it
was shown boxes, which DINO, CLIP and AnchorNet never were.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.ops import box_convert, box_iou, generalized_box_iou_loss, sigmoid_focal_loss
from transformers import (
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessorPil,
    OwlViTProcessor,
)

from lr_edit.picturebook import words
from lr_edit.picturebook.degrade import degrade
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, home
from lr_edit.picturebook.world import COLOURS, KINDS, SIDE, Scene

RECIPE = Recipe(
    steps=2400, batch=48, rate=1.5e-3, weight_decay=0.05, betas=(0.9, 0.98), seed=61,
    cooldown=0.6, average=0.995, muon=True,
)  # fmt: skip
PATCH = 8
_TOWER = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
}
_MEAN = [0.5] * 3  # of every channel; the deviation too
_BOXES = 2.0  # weight of each of the two losses of a box, to one of its name
KINDS_ALONE = [f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in KINDS]
NAMES = [f"{'an' if c[0] in 'aeiou' else 'a'} {c} {k}" for k in KINDS for c in COLOURS]


def build() -> OwlViTForObjectDetection:
    """A fresh detector."""
    torch.manual_seed(RECIPE.seed)
    vision = {**_TOWER, "image_size": SIDE, "patch_size": PATCH}
    special = words.tokenizer()
    text = {
        **_TOWER,
        "num_hidden_layers": 2,
        "vocab_size": len(special),
        "max_position_embeddings": words.LENGTH,
        "pad_token_id": special.pad_token_id,
        "bos_token_id": special.bos_token_id,
        "eos_token_id": special.eos_token_id,
    }
    config = OwlViTConfig(text_config=text, vision_config=vision, projection_dim=128)
    detector = OwlViTForObjectDetection(config)
    # What compares whole pictures with whole texts, as CLIP does, finds nothing here.
    detector.owlvit.logit_scale.requires_grad_(False)
    detector.owlvit.visual_projection.requires_grad_(False)
    for layer in [*detector.class_head.modules(), *detector.box_head.modules()]:
        if isinstance(layer, nn.Linear):  # the class leaves them at deviation 1
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    # It begins by finding nothing anywhere: most names are nowhere.
    nn.init.constant_(detector.class_head.logit_shift.bias, -0.8)
    nn.init.constant_(detector.class_head.logit_scale.bias, 7.0)
    return detector


@lru_cache(maxsize=1)
def _queries() -> Tensor:
    return words.encode([*NAMES, *KINDS_ALONE])


def make_targets(scenes: list[Scene], *, flipped: Bool[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    """For every patch, the queries that are true of the thing that its middle lies in (n, patches,
    queries), and that thing's box as shares of the side (n, patches, 4), zeros where there is none.
    """
    grid = SIDE // PATCH
    middle = (torch.arange(grid) + 0.5) * PATCH
    y, x = (axis.flatten() for axis in torch.meshgrid(middle, middle, indexing="ij"))
    named = torch.zeros(len(scenes), grid**2, len(_queries()))
    boxes = torch.zeros(len(scenes), grid**2, 4)
    for row, scene in enumerate(scenes):
        for thing in scene.things:
            left, top, right, bottom = thing.box.as_tuple()
            if flipped[row]:
                left, right = SIDE - right, SIDE - left
            inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
            own = [NAMES.index(thing.phrase), len(NAMES) + KINDS.index(thing.kind)]
            named[row, inside.nonzero(), torch.tensor(own)] = 1
            boxes[row, inside] = torch.tensor([left, top, right, bottom]) / SIDE
    return named, boxes


def loss(
    detector: OwlViTForObjectDetection, pool: Pool, *, indices: Tensor, generator: torch.Generator
) -> Tensor:
    """Focal loss of the names at every patch, and L1 and generalised IoU of the boxes of those that
    lie in a thing.

    Departure: patches are matched with things by where they are, not by DETR's assignment.
    """
    at = home(detector)
    flipped = torch.rand(len(indices), generator=generator) < 0.5
    images = pool.pictures(indices)
    images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    images = ((degrade(images, generator=generator) - 0.5) / 0.5).to(at)
    scenes = [pool.scenes[i] for i in indices.tolist()]
    named, boxes = (each.to(at) for each in make_targets(scenes, flipped=flipped))
    seen = detector.image_embedder(images)[0]
    patches = seen.flatten(1, 2)
    asked = detector.owlvit.get_text_features(_queries().to(at)).pooler_output
    asked = asked.expand(len(indices), -1, -1)
    logits = detector.class_predictor(patches, asked)[0]
    naming = sigmoid_focal_loss(logits, named, reduction="sum")
    found = box_convert(detector.box_predictor(patches, seen), "cxcywh", "xyxy")
    on = boxes[..., 2] > 0
    away = F.l1_loss(found[on], boxes[on], reduction="sum")
    apart = generalized_box_iou_loss(found[on], boxes[on], reduction="sum")
    return (naming + _BOXES * (away + apart)) / on.sum().clamp(min=1)


@torch.no_grad()
def measure(detector: OwlViTForObjectDetection, pool: Pool) -> dict[str, float]:
    """Over the things of held-out scenes: how often the best box for a thing's name meets it at
    IoU 0.5, and the mean IoU; the first also where another thing shares its colour or its kind."""
    found, alike = [], []
    for row, scene in enumerate(pool.scenes):
        for thing in scene.things:
            box = find_best(detector, pool.pictures([row]), name=thing.phrase)
            found.append(float(box_iou(box[None], torch.tensor([thing.box.as_tuple()]).float())))
            others = [one for one in scene.things if one != thing]
            alike.append(any(thing.kind == o.kind or thing.colour == o.colour for o in others))
    iou, mask = torch.tensor(found), torch.tensor(alike)
    return {
        "found": float((iou >= 0.5).float().mean()),
        "found_alike": float((iou[mask] >= 0.5).float().mean()),
        "iou": float(iou.mean()),
    }


def find_best(
    detector: OwlViTForObjectDetection, image: Float[Tensor, "1 3 h w"], *, name: str
) -> Float[Tensor, "4"]:
    """The box, in pixels, that is surest to hold what a name says."""
    made = detector(input_ids=words.encode([name]), pixel_values=(image - 0.5) / 0.5)
    best = made.logits[0, :, 0].argmax()
    return box_convert(made.pred_boxes[0, best], "cxcywh", "xyxy") * SIDE


def export(detector: OwlViTForObjectDetection, folder: Path) -> None:
    """Write a folder of transformers: half-precision weights, processor, tokeniser."""
    pictures = OwlViTImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=_MEAN, image_std=_MEAN,
        do_center_crop=False,
    )  # fmt: skip
    dtype = detector.dtype
    detector.half().save_pretrained(folder)
    detector.to(dtype)
    OwlViTProcessor(image_processor=pictures, tokenizer=words.tokenizer()).save_pretrained(folder)
