"""The MLflow run that shows a variant, by its keys; reads, and never makes a store."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from lr_edit.lockfile import Keys
from lr_edit.tracking import default_uri


def run_of(root: Path, keys: Keys) -> str | None:
    """The id of the finished run with these keys in the checkout's own store, or None."""
    if not Path(default_uri(root).removeprefix("sqlite:///")).is_file():
        return None
    client = MlflowClient(default_uri(root))
    wanted = f"tags.input_key = '{keys.input}' and tags.output_key = '{keys.output}'"
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(experiments, f"{wanted} and attributes.status = 'FINISHED'")
    return found[0].info.run_id if found else None
