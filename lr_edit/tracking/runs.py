"""The MLflow run that shows a variant, by its keys; reads, and never makes a store."""

from __future__ import annotations

import warnings
from pathlib import Path

from lr_edit.errors import Notice
from lr_edit.tracking.lockfile import ResultKeys
from lr_edit.tracking.store import FAILURES, database, default_uri, explain, open_store


def run_of(root: Path, keys: ResultKeys) -> str | None:
    """The id of the finished run in the checkout's own store that wrote these outputs, or None.

    One that was made from the very same inputs comes first: an edit of code that changes no output
    runs the stages anew and publishes nothing.
    """
    if not database(root).is_file():
        return None
    wanted = f"tags.output_key = '{keys.output}' and attributes.status = 'FINISHED'"
    try:
        client = open_store(root, default_uri(root))
        experiments = [one.experiment_id for one in client.search_experiments()]
        runs = client.search_runs(experiments, wanted)
    except FAILURES as error:
        warnings.warn(explain(error, root, uri=default_uri(root)), Notice, stacklevel=2)
        return None
    found = sorted(  # the newest first, among equals
        runs, key=lambda run: run.data.tags.get("input_key") != keys.input
    )
    return found[0].info.run_id if found else None
