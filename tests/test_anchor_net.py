"""AnchorNet: its size, what it reads, and that it can learn any table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lr_edit.anchor_net import AnchorNet, add_relevance, fresh_net, roi_features
from lr_edit.errors import UserError


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("sizes", "count"), [(2, 1274), (4, 1476), (6, 1678), (7, 1779)])
def test_parameter_counts_are_the_release_s(sizes: int, count: int) -> None:
    net = AnchorNet(768, sizes)
    projection = sum(p.numel() for p in net.project.parameters())
    assert projection == 9228
    assert sum(p.numel() for p in net.parameters()) - projection == count


def test_the_forward_pass_is_the_release_s_stack_of_convolutions() -> None:
    net, rois = AnchorNet(10, 3), draw(4, 3, 10, 8, 8)
    with torch.no_grad():
        wide = F.conv2d(rois.flatten(0, 1), net.project.weight[:, :, None, None], net.project.bias)
        hidden = wide.reshape(4, 36, 8, 8)
        for layer in (net.mix, net.squeeze):
            hidden = F.conv2d(hidden, layer.weight[:, :, None, None], layer.bias)
            hidden = F.leaky_relu(hidden, 0.1)
        logits = net.head(F.leaky_relu(net.bottleneck(hidden.flatten(1)), 0.1))
        torch.testing.assert_close(net(rois), logits.log_softmax(-1))


def test_every_point_s_probabilities_sum_to_one() -> None:
    pi = AnchorNet(5, 6)(draw(9, 6, 5, 8, 8)).exp()
    torch.testing.assert_close(pi.sum(-1), torch.ones(9))


def test_a_start_follows_its_generator_and_leaves_the_global_one_alone() -> None:
    before = torch.random.get_rng_state()
    nets = [fresh_net(5, 3, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    first, again, other = (net.state_dict()["mix.weight"] for net in nets)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("grid", "side"), [(16, 64), (32, 256), (28, 224)])
def test_roi_features_of_coordinates_are_the_coordinates_of_the_box(grid: int, side: int) -> None:
    at = (torch.arange(grid) + 0.5) * side / grid  # pixel of every cell's centre
    features = torch.stack([at.expand(grid, grid), at[:, None].expand(grid, grid)])
    left, top, wide, high = side // 4, side // 8, side // 2, side // 4
    box = torch.tensor([[[left, top, left + wide, top + high]]])
    rois = roi_features(features, box, side=side)
    bins = (torch.arange(8) + 0.5) / 8
    torch.testing.assert_close(rois[0, 0, 0, 0], left + wide * bins)
    torch.testing.assert_close(rois[0, 0, 1, :, 0], top + high * bins)


def test_features_that_are_not_square_are_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        roi_features(torch.zeros(1, 2, 3), torch.tensor([[[0, 0, 4, 4]]]), side=8)


def test_a_net_with_text_refuses_pictures_where_nobody_looked_for_the_words() -> None:
    with pytest.raises(UserError, match="`relevance: true`"):
        add_relevance(np.ones((3, 4, 4), np.float32), np.full((4, 4), np.nan, np.float32))
