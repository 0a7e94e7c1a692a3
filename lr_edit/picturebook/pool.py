"""Scenes by split and seed, drawn once and kept on disk."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lr_edit.picturebook import world
from lr_edit.picturebook.world import Scene, draw, sample_scene

# Splits differ in their seed: no scene is in two of them.
SPLITS = {"pretrain": 1, "train": 2, "val": 3, "dev": 4, "test": 5}


def scene_rng(split: str, index: int, *, seed: int = 0) -> np.random.Generator:
    """The generator of scene `index` of a split."""
    return np.random.default_rng([seed, SPLITS[split], index])


@dataclass(frozen=True)
class Pool:
    """Scenes with their drawings: `images` is uint8 (N, 64, 64, 3)."""

    scenes: tuple[Scene, ...]
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.scenes)

    def pictures(self, indices: Tensor | list[int]) -> Tensor:
        """Images as float RGB (n, 3, 64, 64) in [0, 1]."""
        picked = self.images[np.asarray(indices)]
        return torch.from_numpy(picked).permute(0, 3, 1, 2).float() / 255

    @cached_property
    def captions(self) -> list[str]:
        return [scene.caption for scene in self.scenes]


def load_pool(split: str, count: int, *, folder: Path) -> Pool:
    """`count` scenes of a split; drawn on first use into `folder`, read from there afterwards."""
    scenes = tuple(sample_scene(scene_rng(split, i)) for i in range(count))
    code = hashlib.sha256(Path(world.__file__).read_bytes()).hexdigest()[:12]
    path = folder / f"{split}-{count}-{code}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.save(file, np.stack([draw(scene) for scene in scenes]))
        part.replace(path)
    return Pool(scenes, np.load(path, mmap_mode="r"))
