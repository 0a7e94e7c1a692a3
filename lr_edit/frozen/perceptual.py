"""LPIPS (Zhang et al. 2018) over the package's own trunk: `lpips=False`, no learned heads.

The lpips package's linear heads fit ImageNet trunks only, which no closed machine can fetch; tables
name this distance for what it is.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import lpips
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from lr_edit.files import read_json
from lr_edit.frozen.images import check_images
from lr_edit.frozen.weights import check_numbers, folder_of, loading


class Trunk(nn.Module):
    """Plain 3x3 convolutions with ReLU; every stage but the first halves the picture."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = widths
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, width, 3, stride=1 if stage == 0 else 2, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(),
            )
            for stage, (before, width) in enumerate(zip((3, *widths), widths, strict=False))
        )

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> list[Tensor]:
        """The output of every stage, as the lpips package takes them."""
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


class Perceptual:
    """A distance of pictures in [0, 1]; zero for equal ones."""

    def __init__(self, trunk: Trunk, *, device: str | torch.device = "cpu") -> None:
        # The package's own first trunk is thrown away; drawing it warns of torchvision's names.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self.module = lpips.LPIPS(
                pretrained=False, net="squeeze", lpips=False, pnet_rand=True, verbose=False
            )
        self.module.net = trunk
        self.module.chns, self.module.L = list(trunk.widths), len(trunk.widths)
        self.module.eval().requires_grad_(False).to(device)
        self.device = torch.device(device)

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "n 3 h w"], others: Float[Tensor, "n 3 h w"]
    ) -> Float[Tensor, " n"]:
        """The distance of each pair; inputs are scaled to [-1, 1] here."""
        first, second = check_images(images).to(self.device), check_images(others).to(self.device)
        return self.module(first, second, normalize=True).flatten()


def load_perceptual(name: str, *, device: str | torch.device = "cpu") -> Perceptual:
    """The trunk in `local-dir:FOLDER` (config.json, model.safetensors). Raises UserError."""
    with loading(name, needs=("config.json", "model.safetensors")):
        folder = Path(str(folder_of(name)))
        trunk = Trunk(tuple(read_json(folder / "config.json")["widths"]))
        trunk.load_state_dict(load_file(folder / "model.safetensors"))
        check_numbers(name, trunk)
    return Perceptual(trunk, device=device)
