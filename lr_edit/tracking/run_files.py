"""A variant's pictures, tables and nets -> the artifacts of its run."""

from __future__ import annotations

from pathlib import Path

from lr_edit.tracking.outcome import chosen_boxes, picture
from lr_edit.tracking.rows import Row
from lr_edit.tracking.store import LoggedModelOutput, Metric, MlflowClient
from lr_edit.tracking.views import PICTURES
from lr_edit.workspace.paths import reports_folder
from lr_edit.workspace.storage import study_tasks

REPORTS = ("tables.md", "tables.tex", "tables.csv", "results.json", "contact_sheet.png")


def write_files(client: MlflowClient, run: str, *, root: Path, row: Row) -> None:
    """One image key with a step per image: one card with a slider. One table: edits.json."""
    tasks = study_tasks(root)
    boxes = chosen_boxes(root, row.name, proposals=row.params.get("proposals"))
    pictures = [picture(root, row.name, task=task, box=boxes.get(task.id)) for task in tasks]
    for step, image in enumerate(pictures):
        client.log_image(run, image, key=PICTURES, step=step)
    table = {  # the page groups by the first column and compares the second
        "id": [task.id for task in tasks],
        "source and edit": pictures,
        "source words": [task.source for task in tasks],
        "prompt": [task.prompt for task in tasks],
    }
    client.log_table(run, table, "edits.json")
    client.log_artifact(run, str(root / "artifacts/edits" / row.name / "choices.json"))
    for name in REPORTS:
        if (path := reports_folder(root) / name).is_file():
            client.log_artifact(run, str(path), "reports")


def write_net(client: MlflowClient, experiment: str, *, run: str, root: Path, row: Row) -> None:
    """A variant's AnchorNets, one for each image, as one logged model with the row's metrics."""
    folder = root / "artifacts/nets" / row.name
    if not any(folder.glob("*.safetensors")):
        return
    model = client.create_logged_model(
        experiment,
        name=row.name,
        source_run_id=run,
        tags={"title": row.title, "input_key": row.keys.input, "output_key": row.keys.output},
        params={key: str(value) for key, value in row.params.items()},
        model_type="AnchorNet",
    )
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(model.model_id, 0)])
    values = [
        Metric(key, value, model.creation_timestamp, 0, model_id=model.model_id, run_id=run)
        for key, value in row.metrics.items()
    ]
    client.log_batch(run, metrics=values)
