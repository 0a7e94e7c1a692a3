"""The small CLIPs: `scoring-clip` for losses and S, `evaluation-clip`, for evaluation alone.

Both are open_clip's own class with own configs; they share no weight, no seed and no width. They
are exported as open_clip folders, which `local-dir:` loads. Loss: Radford et al. 2021, fig. 3.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor

from lr_edit.picturebook import words
from lr_edit.picturebook.degrade import degrade, mirror
from lr_edit.picturebook.pool import Pool
from lr_edit.picturebook.trainer import Recipe, home
from lr_edit.picturebook.world import SIDE, Scene

RECIPES: dict[str, Recipe] = {
    "scoring-clip": Recipe(
        steps=800, batch=144, rate=1.5e-3, weight_decay=0.05, betas=(0.9, 0.98), seed=21,
        cooldown=0.6, average=0.98,
    ),
    "evaluation-clip": Recipe(
        steps=900, batch=96, rate=1.5e-3, weight_decay=0.05, betas=(0.9, 0.98), seed=22,
        cooldown=0.6, average=0.98,
    ),
}  # fmt: skip
_MEAN = 0.5  # of every channel; the deviation too
_PART = 0.15  # share of the texts that name some things only
_LEAD = 0.1  # share of the texts that begin with words the vocabulary lacks


def _config(width: int, layers: int, text_width: int) -> dict:
    return {
        "embed_dim": 128,
        "vision_cfg": {
            "image_size": SIDE, "patch_size": 8, "layers": layers, "width": width, "head_width": 32,
        },
        "text_cfg": {
            "context_length": words.LENGTH, "vocab_size": len(words.VOCABULARY),
            "hf_tokenizer_name": "words", "layers": 2, "width": text_width,
            "heads": text_width // 32,
        },
    }  # fmt: skip


CONFIGS: dict[str, dict] = {
    "scoring-clip": _config(128, 4, 128),
    "evaluation-clip": _config(96, 5, 96),
}


def build(name: str) -> CLIP:
    """A fresh CLIP of one of the two configs."""
    torch.manual_seed(RECIPES[name].seed)
    return CLIP(**CONFIGS[name])


def loss(clip: CLIP, pool: Pool, *, indices: Tensor, generator: torch.Generator) -> Tensor:
    """Symmetric cross-entropy over the batch; other pairs whose words are true are left out.

    Departure: a text that is true of another picture of the batch is no negative for it.
    """
    scenes = [pool.scenes[i] for i in indices.tolist()]
    texts = [_say(scene, generator) for scene in scenes]
    images = degrade(mirror(pool.pictures(indices), generator=generator), generator=generator)
    at, tokens = home(clip), words.encode([text.words for text in texts])
    image_side = clip.encode_image(normalise(images).to(at), normalize=True)
    text_side = clip.encode_text(tokens.to(at), normalize=True)
    logits = clip.logit_scale.exp().clamp(max=100) * image_side @ text_side.T
    also_true = true_of(scenes, texts) & ~torch.eye(len(scenes), dtype=torch.bool)
    logits = logits.masked_fill(also_true.to(at), -math.inf)
    target = torch.arange(len(scenes), device=at)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def normalise(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Pictures in [0, 1] as the towers take them; the exported config says the same."""
    return (images - _MEAN) / _MEAN


@dataclass(frozen=True)
class Text:
    """A text about a scene."""

    words: str
    names: frozenset[str]  # the things it speaks of
    caption: str | None  # None: it does not tell the whole scene


def _say(scene: Scene, generator: torch.Generator) -> Text:
    """Mostly the caption; sometimes some things without the ground, or after a lead-in."""
    part, lead = (torch.rand(2, generator=generator) < torch.tensor([_PART, _LEAD])).tolist()
    caption: str | None = scene.caption
    names = [thing.name for thing in scene.things]
    if part and names:
        keep = torch.randperm(len(names), generator=generator)
        count = int(torch.randint(1, len(names) + 1, (), generator=generator))
        kept = [scene.things[i] for i in sorted(keep[:count].tolist())]
        names = [thing.name for thing in kept]
        text, caption = " and ".join(thing.phrase for thing in kept), None
    else:
        text = scene.caption
    return Text(f"an image of {text}" if lead else text, frozenset(names), caption)


def true_of(scenes: list[Scene], texts: list[Text]) -> Bool[Tensor, "scenes texts"]:
    """Which text is true of which scene: a caption tells all there is, a part what it names."""
    facts = [(scene.caption, {thing.name for thing in scene.things}) for scene in scenes]
    return torch.tensor(
        [
            [text.names <= names if text.caption is None else text.caption == caption
             for text in texts]
            for caption, names in facts
        ]
    )  # fmt: skip


@torch.no_grad()
def measure(clip: CLIP, pool: Pool, *, captions: int = 256) -> dict[str, float]:
    """Share of scenes whose own caption is the nearest among distinct ones, and the reverse."""
    first: dict[str, int] = {}
    for index, caption in enumerate(pool.captions):
        first.setdefault(caption, index)
    chosen = list(first.items())[:captions]
    clip.eval()
    image_side = clip.encode_image(normalise(pool.pictures([i for _, i in chosen])), normalize=True)
    text_side = clip.encode_text(words.encode([caption for caption, _ in chosen]), normalize=True)
    similar, own = image_side @ text_side.T, torch.arange(len(chosen))
    return {
        "captions": float(len(chosen)),
        "right_caption": float((similar.argmax(1) == own).float().mean()),
        "right_picture": float((similar.argmax(0) == own).float().mean()),
    }


def export(clip: CLIP, folder: Path, *, name: str) -> None:
    """Write an open_clip folder: config, half-precision weights, tokeniser."""
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = {"mean": [_MEAN] * 3, "std": [_MEAN] * 3, "interpolation": "bicubic"}
    config = {"model_cfg": CONFIGS[name], "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(
        json.dumps(config, indent=2) + "\n", encoding="utf-8"
    )
    state = {key: value.half().contiguous() for key, value in clip.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    words.save(folder)
