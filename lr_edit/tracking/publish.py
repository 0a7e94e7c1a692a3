"""A finished study -> MLflow: one flat run per variant.

MLflow is a view. The stages' files and dvc.lock are the truth: parameters come from the lock, a
run's identity is the keys of its chain (tracking/lockfile.py), and publishing again adds nothing.

    same inputs, same outputs     the run is kept, and is current again if it was not
    same inputs, other outputs    a new run, marked as a rerun: something is not deterministic
    other inputs                  a new run; the old one is marked superseded

A tracking server that is gone costs one sentence, never a stage.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lr_edit.errors import Unfinished, UserError
from lr_edit.tracking.lockfile import Chain, ResultKeys, difference, lock_digest, read_study
from lr_edit.tracking.outcome import chosen_boxes, picture, read_outcome
from lr_edit.tracking.palette import free_colour
from lr_edit.tracking.provenance import describe
from lr_edit.tracking.store import (
    FAILURES,
    Metric,
    MlflowClient,
    Param,
    Run,
    database,
    default_uri,
    explain,
    only_publisher,
    open_store,
    without_secrets,
)
from lr_edit.tracking.ui import comparison_url, server, wait_until_interrupted
from lr_edit.types import Track
from lr_edit.workspace.paths import checkout, home, reports_folder
from lr_edit.workspace.storage import study_tasks

TELLING = (
    "choose",
    "proposals",
    "learner",
    "rank",
)  # tiles print every parameter: only the telling
REPORTS = ("tables.md", "tables.tex", "tables.csv", "results.json", "contact_sheet.png")
BATCH = 1000  # the most values MLflow takes at once


@dataclass(frozen=True)
class Receipt:
    """What publishing did. `keys` alone is written down: it is the same wherever it was published.

    `warning` is set, and nothing else is certain, where MLflow could not be reached.
    """

    keys: dict[str, ResultKeys]
    added: tuple[str, ...] = ()
    link: str | None = None
    warning: str | None = None

    def as_dict(self) -> dict[str, dict[str, str]]:
        """Variant -> its keys."""
        return {name: {"input": key.input, "output": key.output} for name, key in self.keys.items()}

    @property
    def text(self) -> str:
        """One line for a person."""
        if self.warning:
            return self.warning
        added = ", ".join(self.added) or "nothing new"
        return f"MLflow: {len(self.keys)} variants, published {added}; `lr-edit ui` opens them"


def publish(
    root: Path, *, tracking_uri: str | None = None, progress: Track | None = None
) -> Receipt:
    """Bring MLflow up to date with a finished study; UserError where the workspace is not it."""
    chains = read_study(root)
    if found := difference(root, chains):
        raise UserError(f"{found}: run `dvc repro`, then publish")
    keys = {chain.variant: chain.keys for chain in chains}
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root)
    try:
        with only_publisher(root):
            client = open_store(root, uri)
            place = (home(root) / "mlruns").as_uri() if uri == default_uri(root) else None
            experiment = _open_experiment(client, _experiment_name(root, chains), place)
            added = _Ledger(client, experiment, root).enter(chains, progress or _plainly)
    except FAILURES as error:
        return Receipt(keys, warning=explain(error, root, uri=uri))
    address = without_secrets(uri, uri)
    link = comparison_url(experiment, server=address) if uri.startswith("http") else None
    return Receipt(keys, added=added, link=link)


def serve(root: Path, *, port: int = 5000, say: Callable[[str], Any] = print) -> None:
    """Show the checkout's store until interrupted; `say` gets the link to the comparison."""
    name, uri, found = _experiment_name(root, read_study(root)), default_uri(root), None
    if database(root).is_file():
        try:
            found = open_store(root, uri).get_experiment_by_name(name)
        except FAILURES as error:
            raise Unfinished(explain(error, root, uri=uri)) from None
    if found is None:
        raise UserError(f"{database(root)} holds no {name!r}: run `lr-edit publish` first")
    with server(uri, folder=home(root), port=port) as address:
        say(comparison_url(found.experiment_id, server=address))
        wait_until_interrupted()


@dataclass(frozen=True)
class _Ledger:
    """The runs of one experiment, and the rules of the module's docstring.

    Runs of one DVC experiment supersede each other; a queue's trials leave the workspace's alone.
    """

    client: MlflowClient
    experiment: str
    root: Path

    def enter(self, chains: list[Chain], progress: Track) -> tuple[str, ...]:
        """Variants for which a run was added, last first: MLflow lists the newest first."""
        origin = describe(self.root) | {"lock_digest": lock_digest(chains)}
        runs = self._runs(origin["experiment"])
        names = {chain.variant for chain in chains}
        for run in runs:
            if (
                _is_current(run)
                and _scope(run) == origin["experiment"]
                and _variant(run) not in names
            ):
                self._retire(run, by="")  # the study no longer has this variant
        added = []
        for chain in progress(chains[::-1], "publish"):
            old = [run for run in runs if _variant(run) == chain.variant]
            run = next((run for run in old if _keys(run) == chain.keys), None)
            if run is None:
                run = self._write(chain, origin, old, taken=set(_colours(runs)))
                runs.append(run)
                added.append(chain.variant)
            if not _is_current(run):
                self._restore(run)
            for other in old:
                if (
                    other is not run
                    and _is_current(other)
                    and _scope(other) == origin["experiment"]
                ):
                    self._retire(other, by=run.info.run_id)
        return tuple(added)

    def _runs(self, scope: str) -> list[Run]:
        """All finished runs. One that a killed writer left is closed: it never was current."""
        page = self.client.search_runs([self.experiment], max_results=BATCH)
        runs = [*page]
        while page.token:
            page = self.client.search_runs([self.experiment], "", page_token=page.token)
            runs += page
        for run in runs:
            if run.info.status == "RUNNING" and _scope(run) == scope:
                self.client.set_terminated(run.info.run_id, status="KILLED")
        return [run for run in runs if run.info.status == "FINISHED"]

    def _write(
        self, chain: Chain, origin: dict[str, str], old: list[Run], *, taken: set[str]
    ) -> Run:
        """A new run with everything in it; it counts only once it is finished."""
        colour = next(iter(_colours(old)), None) or free_colour(taken)
        tags = origin | {
            "variant": chain.variant,
            "input_key": chain.keys.input,
            "output_key": chain.keys.output,
            "mlflow.source.name": "lr-edit publish",
            "mlflow.source.git.commit": origin["commit"],
            "mlflow.runColor": colour,
        }
        twins = [run for run in old if _keys(run).input == chain.keys.input]
        if twins:
            tags["rerun_of"] = twins[0].info.run_id
        run = self.client.create_run(self.experiment, tags=tags, run_name=chain.variant)
        _write_numbers(self.client, run.info.run_id, chain, self.root)
        _write_files(self.client, run.info.run_id, chain, self.root)
        self.client.set_terminated(run.info.run_id)
        return self.client.get_run(run.info.run_id)

    def _retire(self, run: Run, *, by: str) -> None:
        self.client.set_tag(run.info.run_id, "current", "false")
        self.client.set_tag(run.info.run_id, "superseded_by", by or "no such variant")

    def _restore(self, run: Run) -> None:
        self.client.set_tag(run.info.run_id, "current", "true")
        if "superseded_by" in run.data.tags:
            self.client.delete_tag(run.info.run_id, "superseded_by")


def _write_numbers(client: MlflowClient, run: str, chain: Chain, root: Path) -> None:
    """Single values become bars, series become lines; their keys group the charts."""
    outcome, now = read_outcome(root, chain.variant), int(time.time() * 1000)
    groups = {"eval": outcome.summary, "per_image": outcome.per_image, "train": outcome.curves}
    metrics = [
        Metric(f"{group}/{point.key}", point.value, now, point.step)
        for group, points in groups.items()
        for point in points
    ]
    params = [Param(key, str(chain.row[key])) for key in TELLING if key in chain.row]
    client.log_batch(run, params=params)
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run, metrics=metrics[start : start + BATCH])


def _write_files(client: MlflowClient, run: str, chain: Chain, root: Path) -> None:
    """One image key with a step per image: one card with a slider. One table: edits.json."""
    tasks = study_tasks(root)
    boxes = chosen_boxes(root, chain.variant, proposals=chain.row.get("proposals"))
    pictures = [picture(root, chain.variant, task=task, box=boxes.get(task.id)) for task in tasks]
    for step, image in enumerate(pictures):
        client.log_image(run, image, key="images/edit", step=step)
    table = {  # the page groups by the first column and compares the second
        "id": [task.id for task in tasks],
        "source and edit": pictures,
        "source words": [task.source for task in tasks],
        "prompt": [task.prompt for task in tasks],
    }
    client.log_table(run, table, "edits.json")
    client.log_artifacts(run, str(root / "artifacts/nets" / chain.variant), "nets")
    client.log_artifact(run, str(root / "artifacts/edits" / chain.variant / "choices.json"))
    for name in REPORTS:
        if (path := reports_folder(root) / name).is_file():
            client.log_artifact(run, str(path), "reports")


def _open_experiment(client: MlflowClient, name: str, place: str | None) -> str:
    """The experiment's id; `place` is where a local store keeps its artifacts."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.create_experiment(name, artifact_location=place)
    if place and found.artifact_location != place:
        raise UserError(
            f"mlflow.db keeps its files in {found.artifact_location}, another checkout: "
            "delete mlflow.db and mlruns, then publish again"
        )
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def _experiment_name(root: Path, chains: list[Chain]) -> str:
    """One experiment a profile and study: what ran on other models or tasks does not compare."""
    profile = next((p for chain in chains if (p := chain.params.get("profile"))), "study")
    names = [profile] if checkout(root) == root else [profile, root.name]
    return " ".join(["lr-edit", *dict.fromkeys(names)])


def _keys(run: Run) -> ResultKeys:
    return ResultKeys(run.data.tags.get("input_key", ""), run.data.tags.get("output_key", ""))


def _variant(run: Run) -> str | None:
    return run.data.tags.get("variant")


def _scope(run: Run) -> str | None:
    return run.data.tags.get("experiment")


def _is_current(run: Run) -> bool:
    return run.data.tags.get("current") == "true"


def _colours(runs: list[Run]) -> list[str]:
    return [run.data.tags["mlflow.runColor"] for run in runs if "mlflow.runColor" in run.data.tags]


def _plainly(items: Iterable, label: str, total: int | None = None) -> Iterator:  # noqa: ARG001
    """No progress bar."""
    return iter(items)
