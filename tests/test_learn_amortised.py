"""A net across images: it learns a rule, uses it on unseen images, and is blind to what it is not
shown."""

from __future__ import annotations

import pytest
import torch

from lr_edit.anchor_net import AnchorNet, fresh_net
from lr_edit.learn_amortised import learn_amortised, predict_log_probabilities, training_set

POINTS, SIZES, CHANNELS, TEXT = 4, 3, 6, 3


def learned(
    rois: torch.Tensor, tables: torch.Tensor, *, seed: int = 0, steps: int = 200, batch: int = 16
) -> AnchorNet:
    return learn_amortised(
        rois, tables, seed=seed, steps=steps, rate=5e-3, weight_decay=0.01, batch=batch
    )


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def world(tasks: int, *, seed: int, told_by: int) -> tuple[torch.Tensor, torch.Tensor]:
    """RoIs whose channel `told_by` says, point by point, whether a small or a large box is good,
    and how good the point is; the last channel stands for the words."""
    rois = draw(tasks, POINTS, SIZES, CHANNELS, 8, 8, seed=seed)
    told = draw(tasks, POINTS, seed=seed + 1)
    rois[:, :, :, told_by] = told[:, :, None, None, None] + 0.3 * rois[:, :, :, told_by]
    slope = torch.linspace(-1, 1, SIZES)
    tables = told.sign()[..., None] * slope - 0.5 * told[..., None]
    return rois, tables + 0.1 * draw(tasks, POINTS, SIZES, seed=seed + 2)


def chosen(net: AnchorNet, rois: torch.Tensor) -> torch.Tensor:
    """The most probable size at every point of every task."""
    return torch.stack([predict_log_probabilities([net], task).argmax(-1) for task in rois])


def agreement(net: AnchorNet, rois: torch.Tensor, tables: torch.Tensor) -> float:
    return float((chosen(net, rois) == tables.argmin(-1)).float().mean())


def test_a_net_across_images_uses_a_planted_rule_on_images_it_has_never_seen() -> None:
    net = learned(*world(48, seed=0, told_by=0))
    rois, tables = world(24, seed=50, told_by=0)
    assert agreement(net, rois, tables) > 0.9


def test_it_knows_which_point_to_inpaint_before_any_candidate_is_made() -> None:
    net = learned(*world(48, seed=0, told_by=0))
    rois, tables = world(24, seed=50, told_by=0)
    likely = torch.stack(
        [predict_log_probabilities([net], task).flatten().argmax() for task in rois]
    )
    losses = tables.flatten(1)
    taken = losses.gather(1, likely[:, None]).mean()
    start, floor = losses.mean(), losses.amin(-1).mean()
    assert (start - taken) / (start - floor) > 0.8


def test_what_only_the_words_tell_a_blind_net_cannot_learn_and_a_seeing_one_can() -> None:
    rois, tables = world(48, seed=0, told_by=CHANNELS - 1)
    unseen, truth = world(24, seed=50, told_by=CHANNELS - 1)
    seeing = learned(rois, tables)
    blind = learned(rois[:, :, :, :-1], tables)
    assert agreement(seeing, unseen, truth) > 0.9
    assert agreement(blind, unseen[:, :, :, :-1], truth) < 0.65


def test_larger_training_sets_hold_the_smaller_and_never_repeat_a_task() -> None:
    large = training_set(128, 128, seed=0).tolist()
    assert sorted(large) == list(range(128)) and large != sorted(large)
    for count in (0, 8, 32):
        assert training_set(128, count, seed=0).tolist() == large[:count]
    assert training_set(128, 8, seed=1).tolist() != large[:8]


def test_more_tasks_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="128"):
        training_set(8, 128, seed=0)


def test_training_is_the_same_twice_and_another_seed_is_another_net() -> None:
    data = world(8, seed=0, told_by=0)
    first, again, other = (
        learned(*data, seed=seed, steps=5, batch=3).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_no_task_leaves_the_start() -> None:
    rois, tables = world(2, seed=0, told_by=0)
    net = learned(rois[:0], tables[:0], seed=7).state_dict()
    start = fresh_net(CHANNELS, SIZES, generator=torch.Generator().manual_seed(7)).state_dict()
    assert all(torch.equal(net[name], start[name]) for name in start)


def test_likelihoods_sum_to_one_over_a_task_and_their_rows_are_the_net_s() -> None:
    rois, _ = world(1, seed=0, told_by=0)
    net = fresh_net(CHANNELS, SIZES, generator=torch.Generator().manual_seed(0))
    log_q = predict_log_probabilities([net], rois[0])
    assert float(log_q.exp().sum()) == pytest.approx(1)
    torch.testing.assert_close(log_q.log_softmax(-1), net(rois[0]).detach())


def test_nets_are_averaged_by_what_they_hold_likely() -> None:
    rois, _ = world(1, seed=0, told_by=0)
    nets = [
        fresh_net(CHANNELS, SIZES, generator=torch.Generator().manual_seed(seed))
        for seed in range(3)
    ]
    alone = [predict_log_probabilities([net], rois[0]).exp() for net in nets]
    torch.testing.assert_close(
        predict_log_probabilities(nets, rois[0]).exp(), torch.stack(alone).mean(0)
    )
