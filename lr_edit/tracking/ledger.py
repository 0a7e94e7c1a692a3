"""The runs of one MLflow experiment: which row each shows, and whether it still does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from lr_edit.tracking.lockfile import ResultKeys, lock_digest
from lr_edit.tracking.outcome import has_artifacts, read_series
from lr_edit.tracking.palette import free_colour
from lr_edit.tracking.provenance import describe
from lr_edit.tracking.rows import VARIANTS, Row
from lr_edit.tracking.run_files import write_files, write_net
from lr_edit.tracking.store import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    MlflowClient,
    Param,
    Run,
)  # fmt: skip
from lr_edit.types import Track
from lr_edit.workspace.times import read_costs

FORMAT = "2"  # of what a run holds: one of another format is written anew
BATCH = 1000  # the most values that MLflow takes at once


@dataclass(frozen=True)
class Ledger:
    """The rules of `publish`'s docstring. Runs of one DVC experiment supersede each other; a
    queue's trials leave the workspace's alone."""

    client: MlflowClient
    experiment: str
    root: Path

    def enter(self, rows: list[Row], progress: Track) -> tuple[str, ...]:
        """Rows for which a run was added, last first: MLflow lists the newest first."""
        digest = lock_digest([row.chain for row in rows if row.question == VARIANTS])
        origin = describe(self.root) | {"lock_digest": digest}
        runs, names = self._runs(origin["experiment"]), {row.id for row in rows}
        for run in runs:
            if _is_current(run, origin["experiment"]) and _row(run) not in names:
                self._retire(run, by="")  # the study no longer has this row
        added = []
        for row in progress(rows[::-1], "publish"):
            old = [run for run in runs if _row(run) == row.id]
            run = next((run for run in old if self._shows(run, row)), None)
            if run is None:
                run = self._write(row, origin, old, taken=_colours(runs, row.question))
                runs.append(run)
                added.append(row.id)
            if run.data.tags.get("current") != "true":
                self._restore(run)
            for other in old:
                if other is not run and _is_current(other, origin["experiment"]):
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
            if run.info.status == "RUNNING" and run.data.tags.get("experiment") == scope:
                self.client.set_terminated(run.info.run_id, status="KILLED")
        return [run for run in runs if run.info.status == "FINISHED"]

    def _shows(self, run: Run, row: Row) -> bool:
        """Whether a run holds all that is here of a row."""
        tags = run.data.tags
        whole = not has_artifacts(self.root, row) or (
            tags.get("pictures") == "true" and _has_files(run)
        )
        return _keys(run) == row.keys and tags.get("format") == FORMAT and whole

    def _write(self, row: Row, origin: dict[str, str], old: list[Run], *, taken: set[str]) -> Run:
        """A new run with everything in it; it counts only once it is finished."""
        colour = next((c for run in old if (c := run.data.tags.get("mlflow.runColor"))), None)
        pictures = has_artifacts(self.root, row)
        tags = origin | {
            "row": row.id,
            "question": row.question,
            "title": row.title,
            "format": FORMAT,
            "pictures": str(pictures).lower(),
            "input_key": row.keys.input,
            "output_key": row.keys.output,
            "mlflow.note.content": row.title,
            "mlflow.source.name": "lr-edit publish",
            "mlflow.source.git.commit": origin["commit"],
            "mlflow.runColor": colour or free_colour(taken),
        }
        if twins := [run for run in old if _keys(run).input == row.keys.input]:
            tags["rerun_of"] = twins[0].info.run_id
        run = self.client.create_run(self.experiment, tags=tags, run_name=row.name)
        name = run.info.run_id
        self._write_numbers(name, row)
        self._write_inputs(name, row)
        if pictures:
            write_files(self.client, name, root=self.root, row=row)
            write_net(self.client, self.experiment, run=name, root=self.root, row=row)
        self.client.set_terminated(name)
        return self.client.get_run(name)

    def _write_numbers(self, run: str, row: Row) -> None:
        """Single values become bars, series become lines; their keys group the charts."""
        now = int(time.time() * 1000)
        costs = read_costs(self.root, [entry.name for entry in row.chain.entries])
        single = row.metrics | {f"system/{key}": value for key, value in costs.numbers.items()}
        values = [Metric(key, value, now, 0) for key, value in single.items()]
        values += [Metric(p.key, p.value, now, p.step) for p in read_series(self.root, row)]
        device = {"device": costs.device} if costs.device else {}
        params = [Param(key, str(value)) for key, value in (row.params | device).items()]
        self.client.log_batch(run, params=params, metrics=values[: BATCH - len(params)])
        for start in range(BATCH - len(params), len(values), BATCH):
            self.client.log_batch(run, metrics=values[start : start + BATCH])

    def _write_inputs(self, run: str, row: Row) -> None:
        """The tasks that a row was measured on, by their digest."""
        tasks = {
            out.path: out.md5
            for entry in row.chain.entries
            if entry.name == "prepare"
            for out in entry.outs
        }
        inputs = [
            DatasetInput(
                Dataset(
                    name=f"{row.params.get('profile')} {row.params.get('split', '')}".strip(),
                    digest=md5[:36],
                    source_type="local",
                    source=json.dumps({"uri": path}),
                ),
                [InputTag("mlflow.data.context", "eval")],
            )
            for path, md5 in tasks.items()
        ]
        if inputs:
            self.client.log_inputs(run, inputs)

    def _retire(self, run: Run, *, by: str) -> None:
        self.client.set_tag(run.info.run_id, "current", "false")
        self.client.set_tag(run.info.run_id, "superseded_by", by or "no such row")

    def _restore(self, run: Run) -> None:
        self.client.set_tag(run.info.run_id, "current", "true")
        if "superseded_by" in run.data.tags:
            self.client.delete_tag(run.info.run_id, "superseded_by")


def _keys(run: Run) -> ResultKeys:
    return ResultKeys(run.data.tags.get("input_key", ""), run.data.tags.get("output_key", ""))


def _row(run: Run) -> str | None:
    return run.data.tags.get("row")


def _is_current(run: Run, scope: str) -> bool:
    return run.data.tags.get("current") == "true" and run.data.tags.get("experiment") == scope


def _colours(runs: list[Run], question: str) -> set[str]:
    """Those of the runs that stand in one chart."""
    return {
        run.data.tags["mlflow.runColor"]
        for run in runs
        if run.data.tags.get("question") == question and "mlflow.runColor" in run.data.tags
    }


def _has_files(run: Run) -> bool:
    """Whether a run's files are where the store keeps them; of a server's nothing is known."""
    place = urlsplit(run.info.artifact_uri)
    return place.scheme != "file" or Path(url2pathname(place.path)).is_dir()
