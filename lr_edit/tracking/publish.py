"""A finished study -> MLflow: one flat run for every row of its tables, and of the other studies'.

MLflow is a view. The stages' files and dvc.lock are the truth: parameters come from the lock, a
run's identity is the keys of its row (tracking/rows.py), and publishing again adds nothing.

    same inputs, same outputs     the run is kept, and is current again if it was not
    same inputs, other outputs    a new run, marked as a rerun: something is not deterministic
    other inputs                  a new run; the old one is marked superseded

Numbers need the committed files alone; a variant's pictures, curves and nets come with it where its
artifacts lie on disk. A tracking server that is gone costs one sentence, never a stage.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lr_edit.errors import Notice, Unfinished, UserError
from lr_edit.tracking.ledger import Ledger
from lr_edit.tracking.lockfile import Chain, ResultKeys, chain_from, difference, read_lock
from lr_edit.tracking.rows import VARIANTS, Row, other_studies, read_rows, read_titles
from lr_edit.tracking.store import (
    FAILURES,
    MlflowClient,
    artifacts_of,
    check_uri,
    database,
    default_uri,
    explain,
    only_publisher,
    open_store,
    without_secrets,
)
from lr_edit.tracking.ui import server, wait_until_interrupted
from lr_edit.tracking.views import BARS, Question, view_url, write_views
from lr_edit.types import Track
from lr_edit.workspace.paths import checkout, home


@dataclass(frozen=True)
class Receipt:
    """What publishing did. `keys`, the variants', alone is written down: it is the same wherever it
    was published.

    `links` has a page for every question, where a server was published to; `files` says where a
    database that is not the checkout's keeps pictures and nets. `warning` is set, and nothing else
    is certain, where MLflow could not be reached.
    """

    keys: dict[str, ResultKeys]
    added: tuple[str, ...] = ()
    rows: int = 0
    links: dict[str, str] = field(default_factory=dict)
    files: str | None = None
    warning: str | None = None

    def as_dict(self) -> dict[str, dict[str, str]]:
        """Variant -> its keys."""
        return {name: {"input": key.input, "output": key.output} for name, key in self.keys.items()}

    @property
    def text(self) -> str:
        """What was done, for a person, and where to look."""
        pages = [f"  {title}: {link}" for title, link in self.links.items()]
        shown = pages or self.warning or self.files
        where = "" if shown else "; `lr-edit ui` opens them"
        return "\n".join([f"{self.summary}{where}", *pages])

    @property
    def summary(self) -> str:
        """What was done, in one line."""
        if self.warning:
            return self.warning
        added = ", ".join(self.added) if 0 < len(self.added) <= 9 else f"{len(self.added)} of them"
        where = f"; their files lie in {self.files}" if self.files else ""
        return (
            f"MLflow: {self.rows} rows, published {added if self.added else 'nothing new'}{where}"
        )


def publish(
    root: Path, *, tracking_uri: str | None = None, progress: Track | None = None
) -> Receipt:
    """Bring MLflow up to date with a finished study, and with the committed rows of the others of
    its checkout; UserError where the workspace is not what its dvc.lock says, and for a
    `tracking_uri` that can be no store's."""
    if tracking_uri is not None:
        check_uri(tracking_uri)
    rows = _checked_rows(root)
    keys = {row.name: row.keys for row in rows if row.question == VARIANTS}
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root)
    try:
        with only_publisher(root):
            client = open_store(root, uri)
            files, own = artifacts_of(root, uri), uri == default_uri(root)
            experiment = _open_experiment(client, _experiment_name(root, rows), files, own=own)
            place = client.get_experiment(experiment).artifact_location
            added = Ledger(client, experiment, root).enter(rows, progress or _plainly)
            questions = _questions(root, rows)
            write_views(client, experiment, questions=questions)
            count = len(rows)
            for study, others in _other_rows(root):
                count += len(others)
                name = _experiment_name(study, others)
                ledger = Ledger(client, _open_experiment(client, name, files, own=own), study)
                new = ledger.enter(others, _plainly)
                added += tuple(f"{study.name}: {one}" for one in new)
                write_views(client, ledger.experiment, questions=_questions(study, others))
    except FAILURES as error:
        return Receipt(keys, warning=explain(error, root, uri=uri))
    address = without_secrets(uri, uri)
    links = _links(experiment, questions, address) if uri.startswith("http") else {}
    return Receipt(
        keys, added=added, rows=count, links=links, files=place if files and not own else None
    )


def serve(root: Path, *, port: int = 5000, say: Callable[[str], Any] = print) -> None:
    """Show the checkout's store until interrupted; `say` gets a line for every question's page."""
    rows, uri, found = read_rows(root), default_uri(root), None
    name = _experiment_name(root, rows)
    if database(root).is_file():
        try:
            found = open_store(root, uri).get_experiment_by_name(name)
        except FAILURES as error:
            raise Unfinished(explain(error, root, uri=uri)) from None
    if found is None:
        raise UserError(f"{database(root)} holds no {name!r}: run `lr-edit publish` first")
    with server(uri, folder=home(root), port=port) as address:
        for title, link in _links(found.experiment_id, _questions(root, rows), address).items():
            say(f"{title}\n  {link}")
        wait_until_interrupted()


def _checked_rows(root: Path) -> list[Row]:
    """The rows of a study; UserError where a file is not what its lock says."""
    rows, lock = read_rows(root), read_lock(root / "dvc.lock")
    chains = [row.chain for row in rows if row.question == VARIANTS]
    chains += [Chain(name, (lock[name],)) for name in ("report", "race") if name in lock]
    if "ablate" in lock:
        chains.append(chain_from(lock, "ablate", last=["ablate"]))
    if found := difference(root, chains):
        raise UserError(f"{found}: run `dvc repro` (after a pull `dvc repro --allow-missing`)")
    return rows


def _other_rows(root: Path) -> Iterator[tuple[Path, list[Row]]]:
    """The committed rows of the other studies; one that is half made is left out, and named."""
    for study in other_studies(root):
        try:
            yield study, _checked_rows(study)
        except UserError as error:
            warnings.warn(f"{study.name} is not published: {error}", Notice, stacklevel=3)


def _questions(root: Path, rows: list[Row]) -> list[Question]:
    """What the rows compare, in their order."""
    titles = {VARIANTS: "Variants", **read_titles(root).get("groups", {})}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.question, []).append(row)
    return [
        Question(key, titles.get(key, key.capitalize()), len(group), _same(group), key == VARIANTS)
        for key, group in groups.items()
    ]


def _same(rows: list[Row]) -> frozenset[str]:
    """The metrics that several rows have one value of: nothing is compared by them."""
    values = {key: {row.metrics.get(key) for row in rows} for key in BARS}
    return frozenset(key for key, found in values.items() if len(rows) > 1 and len(found) == 1)


def _links(experiment: str, questions: list[Question], address: str) -> dict[str, str]:
    return {one.title: view_url(experiment, one, server=address) for one in questions}


def _open_experiment(client: MlflowClient, name: str, files: Path | None, *, own: bool) -> str:
    """The experiment's id; `files` is the folder in which a store that is no server keeps them,
    and the checkout's own store keeps them in no other."""
    found, place = client.get_experiment_by_name(name), files and files.as_uri()
    if found is None:
        return client.create_experiment(name, artifact_location=place)
    if own and found.artifact_location != place:
        raise UserError(
            f"mlflow.db keeps its files in {found.artifact_location}, another checkout: "
            "delete mlflow.db and mlruns, then publish again"
        )
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def _experiment_name(root: Path, rows: list[Row]) -> str:
    """One experiment a profile and study: what ran on other models or tasks does not compare."""
    profile = next((str(p) for row in rows if (p := row.params.get("profile"))), "study")
    names = [profile] if checkout(root) == root else [profile, root.name]
    return " ".join(["lr-edit", *dict.fromkeys(names)])


def _plainly(items: Iterable, label: str, total: int | None = None) -> Iterator:  # noqa: ARG001
    """No progress bar."""
    return iter(items)
