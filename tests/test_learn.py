"""Learning: gradients reach every parameter, tables are fitted, companions change nothing."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from lr_edit.anchor_net import fresh_net
from lr_edit.learn import (
    TOLERANCE,
    Learned,
    Learner,
    learn,
    learn_many,
    learn_together,
    row_z_scores,
)

POINTS, SIZES, CHANNELS = 6, 4, 16
LEARNERS = ("exact", "gumbel", "reinforce", "leave-one-out")


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tasks(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Anchors of one task look alike, as neighbours do: mostly shared features."""
    shared = draw(count, 1, SIZES, CHANNELS, 8, 8)
    own = draw(count, POINTS, SIZES, CHANNELS, 8, 8, seed=1)
    return shared + 0.3 * own, draw(count, POINTS, SIZES, seed=2)


def closed(learned: Learned, table: torch.Tensor) -> float:
    """The share of the way from the start's expected loss to the least possible."""
    start, end = learned.curve[0].expected_loss, learned.curve[-1].expected_loss
    return (start - end) / (start - float(table.amin(-1).mean()))


def test_rows_are_standardised() -> None:
    z = row_z_scores(3 + 2 * draw(5, 7))
    torch.testing.assert_close(z.mean(-1), torch.zeros(5), atol=1e-6, rtol=0)
    torch.testing.assert_close(z.std(-1, correction=0), torch.ones(5))


def test_a_constant_row_says_nothing_and_nan_is_the_worst_of_its_row() -> None:
    nan = float("nan")
    z = row_z_scores(torch.tensor([[0.7, 0.7, 0.7], [1.0, nan, 3.0], [nan, nan, nan]]))
    assert z.tolist() == [[0, 0, 0], [-1, 1, 1], [0, 0, 0]]


def test_without_decay_every_parameter_gets_a_gradient() -> None:
    rois, tables = tasks(1)
    net = fresh_net(CHANNELS, SIZES, generator=torch.Generator().manual_seed(0))
    (net(rois[0]).exp() * row_z_scores(tables[0])).sum(-1).mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_moves_every_parameter(learner: Learner) -> None:
    rois, tables = tasks(1)
    start = learn(rois[0], tables[0], learner="none", seed=3).state
    state = learn(rois[0], tables[0], learner=learner, seed=3, steps=20).state
    assert all(not torch.equal(start[name], state[name]) for name in start)


def test_the_expected_loss_falls_and_most_of_the_gap_is_closed() -> None:
    rois, tables = tasks(6)
    nets = list(learn_many(rois, tables, learner="exact", seeds=range(6)))
    shares = torch.tensor([closed(net, table) for net, table in zip(nets, tables, strict=True)])
    assert (shares > 0).float().mean() >= 0.95
    assert shares.mean() >= 0.8


def test_a_net_can_fit_a_given_table() -> None:
    rois, tables = tasks(1)
    net = learn(rois[0], tables[0], learner="exact", seed=0, steps=200)
    assert torch.equal(net.probabilities.argmax(-1), tables[0].argmin(-1))
    assert net.probabilities.amax(-1).min() > 0.9


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_lowers_the_expected_loss(learner: Learner) -> None:
    rois, tables = tasks(2)
    nets = learn_many(rois, tables, learner=learner, seeds=range(2))
    shares = [closed(net, table) for net, table in zip(nets, tables, strict=True)]
    assert sum(shares) / 2 > 0.3


@pytest.mark.parametrize("learner", get_args(Learner))
def test_a_task_s_net_does_not_depend_on_its_companions(learner: Learner) -> None:
    rois, tables = tasks(5)
    together = list(learn_many(rois, tables, learner=learner, seeds=range(5), steps=6))
    for i in (0, 4):
        alone = learn(rois[i], tables[i], learner=learner, seed=i, steps=6)
        assert alone.curve == together[i].curve
        assert alone.candidates_used == together[i].candidates_used
        assert torch.equal(alone.probabilities, together[i].probabilities)
        assert all(torch.equal(alone.state[k], together[i].state[k]) for k in alone.state)


# A sampler goes another way once rounding has decided a draw: it is compared before.
@pytest.mark.parametrize(
    ("learner", "steps"),
    [("exact", 200), ("gumbel", 200), ("reinforce", 20), ("leave-one-out", 20), ("none", 0)],
)
def test_nets_trained_together_are_those_trained_alone_within_the_tolerance(
    learner: Learner, steps: int
) -> None:
    rois, tables = tasks(5)
    how: dict[str, Any] = {"learner": learner, "steps": steps, "weight_decay": 0.01}
    together = learn_together(rois, tables, seeds=range(5), **how)
    alone = list(learn_many(rois, tables, seeds=range(5), **how))
    start = learn_many(rois, tables, seeds=range(5), **how | {"learner": "none"})
    for ours, theirs, before in zip(together, alone, start, strict=True):
        torch.testing.assert_close(ours.probabilities, theirs.probabilities, atol=TOLERANCE, rtol=0)
        assert len(ours.curve) == steps + 1 and ours.candidates_used == theirs.candidates_used
        assert ours.curve[-1].expected_loss == pytest.approx(
            theirs.curve[-1].expected_loss, abs=TOLERANCE
        )
        assert ours.state.keys() == theirs.state.keys()
        moved = (ours.probabilities - before.probabilities).abs().max()
        assert moved > 10 * TOLERANCE or learner == "none"


def test_learning_is_plain_adam_on_the_expected_loss_with_a_fading_entropy_bonus() -> None:
    rois, tables = tasks(1)
    table, steps = row_z_scores(tables[0]), 10
    net = fresh_net(CHANNELS, SIZES, generator=torch.Generator().manual_seed(5))
    adam = torch.optim.Adam(net.parameters(), lr=5e-3, weight_decay=0.01)
    for step in range(steps):
        log_pi = net(rois[0])
        bonus = max(0.0, 1 - 2 * step / steps) * log_pi.exp() * log_pi
        adam.zero_grad()
        (log_pi.exp() * table + bonus).sum(-1).mean().backward()
        adam.step()
    learned = learn(
        rois[0], tables[0], learner="exact", seed=5, steps=steps, rate=5e-3, weight_decay=0.01
    )
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(learned.state[name], parameter.detach(), atol=1e-5, rtol=1e-4)


def test_learners_say_what_they_would_have_paid() -> None:
    rois, tables = tasks(1)
    candidates_used = {
        learner: learn(rois[0], tables[0], learner=learner, seed=0, steps=2).candidates_used
        for learner in get_args(Learner)
    }
    assert candidates_used["exact"] == candidates_used["gumbel"] == POINTS * SIZES
    assert candidates_used["none"] == 0
    assert POINTS <= candidates_used["reinforce"] <= 2 * POINTS
    assert POINTS <= candidates_used["leave-one-out"] <= 4 * POINTS


def test_reinforce_never_reads_what_it_has_not_sampled() -> None:
    rois, tables = tasks(1)
    first = learn(rois[0], tables[0], learner="reinforce", seed=0, steps=1)
    other = learn(rois[0], tables[0] + draw(POINTS, SIZES), learner="reinforce", seed=0, steps=1)
    # One sample an anchor has nothing to be compared with yet: whatever it was, the step is equal.
    assert torch.equal(first.probabilities, other.probabilities)


def test_leave_one_out_is_each_sample_less_the_other() -> None:
    """One step of plain Adam on the estimator as its paper writes it, sample by sample."""
    rois, tables = tasks(1)
    generator = torch.Generator().manual_seed(7)
    net = fresh_net(CHANNELS, SIZES, generator=generator)
    adam = torch.optim.Adam(net.parameters(), lr=5e-3)
    log_pi = net(rois[0])
    gumbel = -torch.empty(2, POINTS, SIZES).exponential_(generator=generator).log()
    drawn = (log_pi.detach() + gumbel).argmax(-1)  # (samples, points)
    loss = torch.zeros(())
    for point in range(POINTS):
        a, b = drawn[:, point].tolist()
        known = torch.full((1, SIZES), torch.nan)
        known[0, [a, b]] = tables[0][point, [a, b]]
        z = row_z_scores(known)[0]
        for one, other in ((a, b), (b, a)):
            loss = loss + (z[one] - z[other]) * log_pi[point, one] / 2
    bonus = (log_pi.exp() * log_pi).sum(-1).mean()
    (loss / POINTS + bonus).backward()
    adam.step()
    learned = learn(rois[0], tables[0], learner="leave-one-out", seed=7, steps=1)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(learned.state[name], parameter.detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("learner", ["reinforce", "leave-one-out"])
def test_samplers_never_read_what_they_did_not_draw(learner: Learner) -> None:
    rois, tables = tasks(1)
    start = fresh_net(CHANNELS, SIZES, generator=(generator := torch.Generator().manual_seed(0)))
    count = 2 if learner == "leave-one-out" else 1
    gumbel = -torch.empty(count, POINTS, SIZES).exponential_(generator=generator).log()
    drawn = (start(rois[0]).detach() + gumbel).argmax(-1)
    hidden = tables[0] + 5
    for at in range(POINTS):
        hidden[at, drawn[:, at]] = tables[0][at, drawn[:, at]]
    first, other = (
        learn(rois[0], t, learner=learner, seed=0, steps=1) for t in (tables[0], hidden)
    )
    assert torch.equal(first.probabilities, other.probabilities)


def test_no_learning_leaves_the_start_and_one_record() -> None:
    rois, tables = tasks(1)
    net = learn(rois[0], tables[0], learner="none", seed=4)
    start = fresh_net(CHANNELS, SIZES, generator=torch.Generator().manual_seed(4)).state_dict()
    assert [record.step for record in net.curve] == [0]
    assert all(torch.equal(net.state[name], start[name]) for name in start)


def test_the_curve_has_a_record_a_step_and_ends_at_the_probabilities() -> None:
    rois, tables = tasks(1)
    net = learn(rois[0], tables[0], learner="exact", seed=0, steps=5)
    assert [record.step for record in net.curve] == list(range(6))
    pi, last = net.probabilities, net.curve[-1]
    assert last.expected_loss == pytest.approx(float((pi * tables[0]).sum(-1).mean()), abs=1e-6)
    assert last.entropy == pytest.approx(float(-(pi * pi.log()).sum(-1).mean()), abs=1e-6)


def test_a_saved_state_gives_the_same_probabilities() -> None:
    rois, tables = tasks(1)
    learned = learn(rois[0], tables[0], learner="exact", seed=0, steps=5)
    net = fresh_net(CHANNELS, SIZES, generator=torch.Generator())
    net.load_state_dict(learned.state)
    torch.testing.assert_close(net(rois[0]).exp(), learned.probabilities)
