"""ablate: banks -> what every row of `ablations` chooses, in one process.

Reads tables, inpaints nothing. Candidates are shared, so that rows differ by their rule alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lr_edit.choose import best_of_top_k, pick_sizes
from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.stages.edit import choose_one
from lr_edit.stages.kept_rows import OUTPUT, KeptRows
from lr_edit.successive_halving import nfe_each, pick_entrants, plan_rounds, replay_tables, run_race
from lr_edit.types import Bank, Choice, EditTask, LossWeights, Track
from lr_edit.variant import Ablation
from lr_edit.workspace.storage import read_banks, study_tasks, write_json

T = TypeVar("T")


def run(root: Path, config: Config, *, track: Track) -> None:
    """Write artifacts/ablations.json: group -> row -> {choices, candidates_used, expected}, in the
    order of the tasks. Races say their `nfe` too. Rows that stand are not made anew.
    """
    tasks = study_tasks(root)
    rows = [
        (group, name, row)
        for group, table in config.ablations.items()
        for name, row in table.items()
    ]
    found: dict[str, dict[str, Any]] = {group: {} for group in config.ablations}
    made: dict[Ablation, dict[str, Any]] = {}  # one row may stand in many groups
    kept = KeptRows(root, config, make=_make)
    for group, name, row in track(rows, "ablations", total=len(rows)):
        if row not in made:
            made[row] = kept.find(row, partial(_make, root, config, row, tasks=tasks))
        found[group][name] = made[row]
    write_json(root / OUTPUT, found, compact=True)


def _make(root: Path, config: Config, row: Ablation, *, tasks: list[EditTask]) -> dict[str, Any]:
    """What a row chooses, of the candidates that its tables hold."""
    sets = [read_banks(root, each, tasks=tasks) for each in (*row.previews, row.proposals)]
    banks = [bank.part(points=row.points, sizes=row.sizes) for bank in sets[-1]]
    if row.previews:
        rounds = list(zip(*sets, strict=True))
        return _race(row, rounds, _priors(root, config, row, banks))
    return _row(root, config, row, tasks=tasks, banks=banks)


@dataclass(frozen=True)
class _Known:
    """What a row's nets say: (points, sizes) tables by task and seed, and candidates they read.

    A per-image net gives pi(size | point), a dataset-level one log q(point, size).
    """

    tables: Sequence[Sequence[np.ndarray | None]]
    candidates_used: list[int] | None = None


def _row(
    root: Path, config: Config, row: Ablation, *, tasks: list[EditTask], banks: list[Bank]
) -> dict[str, Any]:
    """choices   (tasks, seeds, 2): point and size within the part
    candidates_used  candidates per task, where the row's rule does not say it
    expected  (tasks, seeds): the expected loss of the sizes' distribution, None where it has none
    """
    if row.scope == "dataset":
        row, known = _from_dataset(root, config, row, banks)
    elif row.choose == "net":
        known = _learn(config, row, tasks, banks)
    else:
        known = _Known([[None] * row.seeds for _ in banks])
    choices, expected = [], []
    for task, bank, tables in zip(tasks, banks, known.tables, strict=True):
        made = [_choose(row, bank, task.id, seed, table) for seed, table in enumerate(tables)]
        choices.append([[one.point, one.size] for one in made])
        expected.append([_expected_loss(row, bank, table) for table in tables])
    return {"choices": choices, "candidates_used": known.candidates_used, "expected": expected}


def _choose(row: Ablation, bank: Bank, task: str, seed: int, table: np.ndarray | None) -> Choice:
    if row.top and table is not None:
        return best_of_top_k(bank, row.top, probabilities=table, rank=row.rank, weights=row.losses)
    return choose_one(row, bank, task=task, seed=seed, probabilities=table)


def _expected_loss(row: Ablation, bank: Bank, table: np.ndarray | None) -> float | None:
    """J: the mean over anchors of the loss that pi(size | anchor) expects, in the paper's weights.

    A rule that picks one size per anchor is a pi of ones. None where the choice is no such thing,
    or the anchors are not all the bank's.
    """
    loss = bank.loss(LossWeights())
    if row.top or row.points or row.choose not in ("net", "table", "fixed"):
        return None
    if table is None:
        sizes = pick_sizes(row.choose, bank, size=row.size, weights=row.losses)
        return float(np.take_along_axis(loss, sizes[:, None], axis=1).mean())
    pi = np.exp(table - table.max(-1, keepdims=True)) if row.scope == "dataset" else table
    pi = pi / pi.sum(-1, keepdims=True)
    return float((pi * loss).sum(-1).mean())


def _from_dataset(
    root: Path, config: Config, row: Ablation, banks: list[Bank]
) -> tuple[Ablation, _Known]:
    """A choice learned on other images: it costs what it inpaints."""
    from lr_edit.amortise import best_size, predict_tables  # torch is for rows that have a net

    if row.choose == "fixed":
        fixed = row.model_copy(
            update={"size": best_size(root, config, proposals=row.proposals, by=row.by)}
        )
        return fixed, _Known([[None] * row.seeds for _ in banks])
    tables = list(predict_tables(root, config, row=row, banks=banks))
    return row, _Known(tables, candidates_used=[row.top or len(bank.losses) for bank in banks])


def _priors(
    root: Path, config: Config, row: Ablation, banks: list[Bank]
) -> Iterable[np.ndarray | None]:
    """The prior of dataset-level nets, all seeds together: log q, (points, sizes)."""
    if row.scope == "image":
        return [None] * len(banks)
    from lr_edit.amortise import predict_tables  # torch is for rows that have a net

    return (
        np.logaddexp.reduce(seeds) for seeds in predict_tables(root, config, row=row, banks=banks)
    )


def _race(
    row: Ablation, banks: list[tuple[Bank, ...]], priors: Iterable[np.ndarray | None]
) -> dict[str, Any]:
    """The same from a race over the tables of a task's previews and of its full quality.

    nfe: what it cost, (tasks,); candidates_used: the same in full-quality candidates, rounded up.
    """
    if row.rank == "released":
        raise UserError("a race has `rank: S` or `rank: loss`: `released` ranks finalists alone")
    choices, nfe, candidates_used = [], [], []
    expected = [[None] for _ in banks]
    for rounds, prior in zip(banks, priors, strict=True):
        costs = [nfe_each(bank) for bank in rounds]
        parts = [bank.part(points=row.points, sizes=row.sizes) for bank in rounds]
        entrants = pick_entrants(parts[-1].boxes, prior=prior, count=row.entrants)
        plan = plan_rounds(row.budget, costs, candidates=len(entrants))
        score_round = replay_tables(parts, costs=costs, rank=row.rank, weights=row.losses)
        raced = run_race(score_round, entrants, plan=plan)
        choices.append([list(divmod(raced.winner, parts[-1].boxes.shape[1]))])
        nfe.append(raced.nfe)
        candidates_used.append(-(-raced.nfe // costs[-1]))
    return {
        "choices": choices,
        "candidates_used": candidates_used,
        "nfe": nfe,
        "expected": expected,
    }


def _learn(config: Config, row: Ablation, tasks: list[EditTask], banks: list[Bank]) -> _Known:
    """A net of its own for every task and seed."""
    from lr_edit.stages.train import NetTrainer, train_nets  # torch is for rows that have a net

    trainer = NetTrainer(row, side=config.models.side, seed=config.study.seed)
    names = [task.id for task in tasks]
    nets = train_nets(names, banks, trainer=trainer, track=_untracked).values()
    return _Known(
        [list(net.probabilities) for net in nets],
        candidates_used=[net.summary["candidates_used"] for net in nets],
    )


def _untracked(
    items: Iterable[T],
    label: str,  # noqa: ARG001
    *,
    total: int | None = None,  # noqa: ARG001
) -> Iterator[T]:
    """The rows are tracked already."""
    yield from items
