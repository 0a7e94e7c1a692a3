"""RoI features of the boxes -> log pi(size | anchor point): the only trained module.

Paper, region generation network, with the layer sizes of the release: 1,476
parameters for six sizes, and channels * 12 + 12 in the projection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from lr_edit.errors import UserError
from lr_edit.types import Bank

ROI = 8  # cells of a pooled box, each way
WIDTH = 12  # channels after the projection


def roi_features(
    features: Float[Tensor, "channels rows cols"],
    boxes: Int[Tensor, "points sizes 4"],
    *,
    side: int,
) -> Float[Tensor, "points sizes channels 8 8"]:
    """The features inside every box, resampled to 8x8 cells: what AnchorNet reads.

    Departure: RoIAlign to 8x8 as in the release, where the paper has RoI pooling to 7x7. The scale
    is cells / pixels, so every box reads its own place: the release scales boxes that are in cells
    already, and reads the top left corner of 4x4 cells.

    Args:
        features: Patch features on a square grid that covers the image.
        boxes: left, top, right, bottom in pixels.
        side: Pixels of the square image.

    Raises:
        ValueError: The grid is not square.

    Source: paper, section 3.2, region generation network.

    Example:
        >>> rois = roi_features(torch.rand(3, 16, 16), torch.tensor([[[0, 0, 32, 32]]]), side=64)
        >>> rois.shape
        torch.Size([1, 1, 3, 8, 8])
    """
    rows, cols = features.shape[-2:]
    if rows != cols:
        raise ValueError(f"the features must be square, got {rows}x{cols} cells")
    pooled = roi_align(
        features[None],
        [boxes.flatten(0, 1).to(features.dtype)],
        output_size=ROI,
        spatial_scale=cols / side,
        sampling_ratio=2,
        aligned=True,
    )
    return pooled.unflatten(0, boxes.shape[:2])


def bank_rois(
    banks: Sequence[Bank], *, side: int, text: bool = False, device: str = "cpu"
) -> Float[Tensor, "tasks points sizes channels 8 8"]:
    """The RoI features of every task's boxes; with `text`, text relevance is the last channel."""

    def pool(bank: Bank) -> Tensor:
        features = torch.from_numpy(bank.features)
        if text:
            features = add_relevance(bank.features, bank.relevance)
        boxes = torch.from_numpy(bank.boxes)
        return roi_features(features.to(device), boxes.to(device), side=side)

    return torch.stack([pool(bank) for bank in banks])


def add_relevance(
    features: Float[np.ndarray, "channels rows cols"], relevance: Float[np.ndarray, "rows cols"]
) -> Float[Tensor, "channels_1 rows cols"]:
    """Features with one channel more: the text relevance, standardised over the image and scaled to
    weigh as much as all features together. On val, a dataset-level net hardly uses it unscaled.

    Departure: the paper's and the release's AnchorNet read no words.

    Raises:
        UserError: The proposal set computes no relevance (it is NaN).
    """
    if np.isnan(relevance).any():
        raise UserError(
            "a net with text reads the text relevance of the source words: give its proposal set "
            "`relevance: true`"
        )
    spread = max(float(relevance.std()), 1e-6)
    weight = len(features) ** 0.5
    channel = (weight * (relevance - relevance.mean()) / spread).astype(features.dtype)
    return torch.from_numpy(np.concatenate([features, channel[None]]))


class AnchorNet(nn.Module):
    """pi(size | anchor point) from the features of all sizes at that point.

    1x1 convolutions are linear maps of the channels and are written so.

    Args:
        channels: Of the features; one more with text relevance.
        sizes: Boxes per anchor.

    Source: paper, section 3.2; layer sizes of the release.

    Example:
        >>> net = fresh_net(channels=3, sizes=2, generator=torch.Generator().manual_seed(0))
        >>> log_pi = net(torch.rand(9, 2, 3, 8, 8))
        >>> log_pi.shape, bool(torch.allclose(log_pi.exp().sum(-1), torch.ones(9)))
        (torch.Size([9, 2]), True)

    Departure: trained, projection included; in the release no gradient reaches the net and its
    projection is in no optimiser.

    Departure: leaky ReLUs, slope 0.1, where the release has ReLUs. Share of the gap
    from start to floor closed in 200 steps of rate 5e-3, one start each on 16 simulated tasks with
    neighbouring anchors (tables of pure noise / tables that follow overlap and size): ReLU 57% /
    72%, SiLU 92% / 88%, leaky ReLU 99% / 97%.
    """

    def __init__(self, channels: int, sizes: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, WIDTH)
        self.mix = nn.Linear(sizes * WIDTH, 8)
        self.squeeze = nn.Linear(8, 4)
        self.bottleneck = nn.Linear(4 * ROI * ROI, 4)
        self.head = nn.Linear(4, sizes)

    def forward(
        self, rois: Float[Tensor, "points sizes channels 8 8"]
    ) -> Float[Tensor, "points sizes"]:
        """log pi(size | anchor point); the exponentials of a row sum to 1."""
        return F.log_softmax(self.scores(rois), dim=-1)

    def scores(
        self, rois: Float[Tensor, "points sizes channels 8 8"]
    ) -> Float[Tensor, "points sizes"]:
        """Logits, which `forward` normalises; a dataset-level net compares anchors by them too."""
        points, sizes, channels = rois.shape[:3]
        # Nothing stands between the projection and the first convolution: their product is taken
        # first, (8, sizes * 12) by (12, channels), which saves the wide intermediate.
        mix = self.mix.weight.reshape(8 * sizes, WIDTH)
        weight = (mix @ self.project.weight).reshape(8, sizes * channels)
        bias = self.mix.bias + (mix @ self.project.bias).reshape(8, sizes).sum(-1)
        cells = rois.permute(1, 2, 0, 3, 4).reshape(sizes * channels, points * ROI * ROI)
        hidden = _activation(weight @ cells + bias[:, None])  # (8, points * 64)
        hidden = _activation(self.squeeze.weight @ hidden + self.squeeze.bias[:, None])
        hidden = hidden.reshape(4, points, -1).transpose(0, 1).flatten(1)  # (points, 4 * 64)
        return self.head(_activation(self.bottleneck(hidden)))


def fresh_net(channels: int, sizes: int, *, generator: torch.Generator) -> AnchorNet:
    """An AnchorNet whose start is drawn from `generator` alone."""
    with torch.device("meta"):
        net = AnchorNet(channels, sizes)
    net.to_empty(device="cpu")
    for layer in net.children():
        assert isinstance(layer, nn.Linear)
        bound = layer.in_features**-0.5  # as nn.Linear draws, but from this generator
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return net


def _activation(hidden: Tensor) -> Tensor:
    return F.leaky_relu(hidden, 0.1)
