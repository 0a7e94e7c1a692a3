"""The MLflow run that shows a variant, by its keys; reads, and never makes a store."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from lr_edit.tracking.lockfile import ResultKeys
from lr_edit.tracking.publish import default_uri


def run_of(root: Path, keys: ResultKeys) -> str | None:
    """The id of the finished run in the checkout's own store that wrote these outputs, or None.

    One that was made from the very same inputs comes first: an edit of code that changes no output
    runs the stages anew and publishes nothing.
    """
    if not Path(default_uri(root).removeprefix("sqlite:///")).is_file():
        return None
    client = MlflowClient(default_uri(root))
    wanted = f"tags.output_key = '{keys.output}' and attributes.status = 'FINISHED'"
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = sorted(  # the newest first, among equals
        client.search_runs(experiments, wanted),
        key=lambda run: run.data.tags.get("input_key") != keys.input,
    )
    return found[0].info.run_id if found else None
