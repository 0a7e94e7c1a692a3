"""What a run holds: parameters, numbers, inputs, costs, pictures, nets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from lr_edit.tracking.lockfile import content_md5
from lr_edit.tracking.publish import default_uri, publish
from tests.tracking.test_publish import all_runs, runs

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # MLflow's engine closes at exit
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_every_row_of_every_table_becomes_one_flat_run(root: Path) -> None:
    receipt = publish(root)
    assert receipt.added == ("sizes/two", "losses/clip", "untrained", "learned")
    assert receipt.rows == 4
    *ablations, untrained, learned = all_runs(root)
    assert learned.info.run_name == "learned"  # the newest stands on top: the first of params.yaml
    assert {run.info.status for run in all_runs(root)} == {"FINISHED"}
    assert not [run for run in all_runs(root) if "mlflow.parentRunId" in run.data.tags]
    colours = [run.data.tags["mlflow.runColor"] for run in (learned, untrained)]
    assert len(set(colours)) == 2
    tags = learned.data.tags
    assert {"input_key", "output_key", "lock_digest", "commit", "dirty", "device"} <= set(tags)
    assert [tags[key] for key in ("row", "question", "current", "experiment")] == [
        "learned", "variants", "true", "workspace",
    ]  # fmt: skip
    assert [run.data.tags["row"] for run in ablations] == ["sizes/two", "losses/clip"]
    assert ablations[1].data.metrics == {"iou": 25.0, "iou_low": 20.0, "iou_high": 30.0, "nfe": 50}


def test_a_run_states_all_that_it_was_made_with(root: Path) -> None:
    publish(root)
    *_, two, clip, _, learned = all_runs(root)
    common = {"profile": "small", "split": "dev", "rank": "S", "rate": "0.005", "proposals": "dino"}
    assert learned.data.params == common | {
        "choose": "net", "learner": "exact", "digest.data": content_md5(root / "data"),
    }  # fmt: skip
    assert two.data.params["sizes"] == "[0, 1]"
    assert clip.data.params["choose"] == "table"
    for run in (learned, two):
        (used,) = run.inputs.dataset_inputs
        assert used.dataset.name == "small dev"
        assert used.dataset.digest == content_md5(root / "artifacts/tasks")


def test_costs_of_the_stages_stand_in_a_run(root: Path) -> None:
    times = [("train@learned", 3.0, 2**30, False), ("edit@learned", 1.0, 2**29, False),
             ("edit@learned", 0.1, 2**20, True), ("train@untrained", 9.0, 1, False)]  # fmt: skip
    for stage, seconds, memory, restored in times:
        line = {"stage": stage, "seconds": seconds, "device": "cpu", "memory": memory,
                "restored": restored}  # fmt: skip
        with (root / "artifacts/times.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    publish(root)
    learned = runs(root)[-1]
    assert learned.data.metrics["system/seconds"] == 4.0  # what a cache gave back cost nothing
    assert learned.data.metrics["system/memory_mib"] == 1024.0
    assert learned.data.params["device"] == "cpu"


def test_numbers_become_bars_lines_and_curves(root: Path) -> None:
    publish(root)
    run = runs(root)[-1]
    client = MlflowClient(default_uri(root))
    summary = json.loads((root / "artifacts/scores/learned.json").read_text())["metrics"]
    assert run.data.metrics["iou"] == summary["iou"]["mean"] * 100
    assert run.data.metrics["score_s"] == summary["score_s"]["mean"]
    assert "lpips" not in run.data.metrics  # missing everywhere
    per_image = client.get_metric_history(run.info.run_id, "per_image/iou")
    assert [point.step for point in per_image] == [0, 1, 2, 3]
    cells = (root / "artifacts/scores/learned.csv").read_text().splitlines()
    drawn = [float(row.split(",")[7]) for row in cells if ",t2,replace," in row and ",iou," in row]
    assert per_image[2].value == pytest.approx(100 * np.mean(drawn))
    curve = client.get_metric_history(run.info.run_id, "train/expected_loss")
    assert [point.value for point in curve][:3] == pytest.approx([1, 1 / 2, 1 / 3])


def test_images_and_tables_are_artifacts_and_the_nets_a_model(root: Path) -> None:
    publish(root)
    run = runs(root)[-1]
    folder = root / "mlruns" / run.info.run_id / "artifacts"
    images = list((folder / "images").glob("images~edit+step+*.png"))
    assert len(images) == 4  # one key: one card with a slider
    table = json.loads((folder / "edits.json").read_text())
    assert [row[0] for row in table["data"]] == ["t0", "t1", "t2", "t3"]
    assert (folder / "reports/results.json").is_file()
    client = MlflowClient(default_uri(root))
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.model_type, model.source_run_id) == (
        "learned", "AnchorNet", run.info.run_id,
    )  # fmt: skip
    assert {one.key for one in model.metrics} == {"iou", "score_s", "success"}
    nets = root / "mlruns/models" / model.model_id / "artifacts"
    assert len(list(nets.glob("t*.safetensors"))) == 4
