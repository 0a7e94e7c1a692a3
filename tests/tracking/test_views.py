"""MLflow's pages, as a browser shows them: one saved view a question."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from lr_edit.tracking.store import MlflowClient, default_uri
from lr_edit.tracking.ui import server
from lr_edit.tracking.views import PREFIX, Question, view_url, write_views
from tests.tracking.test_publish import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOSSES = Question("losses", "Losses", 2)


@pytest.fixture
def client(tmp_path: Path, empty_store: Path) -> MlflowClient:
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return MlflowClient(default_uri(tmp_path))


def view(client: MlflowClient, experiment: str, question: str = "losses") -> dict:
    return json.loads(client.get_experiment(experiment).tags[PREFIX + question])


def unpacked(state: str) -> dict:
    return json.loads(zlib.decompress(base64.b64decode(state.removeprefix("deflate;"))))


def test_a_view_shows_its_question_and_the_headline_first(client: MlflowClient) -> None:
    experiment = client.create_experiment("one")
    write_views(client, experiment, questions=[LOSSES])
    found = view(client, experiment)
    state = unpacked(found["state"])
    assert found["name"] == "Losses"
    assert state["searchFilter"] == "tags.current = 'true' and tags.question = 'losses'"
    bars = [chart["metricKey"] for chart in state["compareRunCharts"] if chart["type"] == "BAR"]
    assert bars[:5] == ["success", "iou", "nfe", "clip_edited", "lpips"]


def test_what_is_the_same_in_every_row_comes_last(client: MlflowClient) -> None:
    experiment = client.create_experiment("one")
    question = replace(LOSSES, same=frozenset({"nfe"}))
    write_views(client, experiment, questions=[question])
    charts = unpacked(view(client, experiment)["state"])["compareRunCharts"]
    bars = [chart["metricKey"] for chart in charts if chart["type"] == "BAR"]
    assert bars[:4] == ["success", "iou", "clip_edited", "lpips"] and bars[-1] == "nfe"


def test_rows_without_pictures_have_no_empty_sections(client: MlflowClient) -> None:
    experiment = client.create_experiment("one")
    write_views(client, experiment, questions=[replace(LOSSES, pictures=False)])
    state = unpacked(view(client, experiment)["state"])
    assert [section["uuid"] for section in state["compareRunSections"]] == ["means"]
    assert {chart["type"] for chart in state["compareRunCharts"]} == {"BAR"}


def test_a_view_is_written_once_and_a_broken_one_again(client: MlflowClient) -> None:
    experiment = client.create_experiment("one")
    write_views(client, experiment, questions=[LOSSES])
    first = view(client, experiment)
    write_views(client, experiment, questions=[LOSSES])
    assert view(client, experiment) == first
    for broken in ("", "[]", "no json", '{"name": "Losses"}'):
        client.set_experiment_tag(experiment, PREFIX + "losses", broken)
        write_views(client, experiment, questions=[LOSSES])
        assert view(client, experiment)["state"] == first["state"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
def test_a_browser_shows_the_metrics_by_their_names(client: MlflowClient, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    experiment = client.create_experiment("one", artifact_location=(tmp_path / "runs").as_uri())
    for name, value in (("clip", 40.0), ("structure", 5.0)):
        tags = {"current": "true", "question": "losses"}
        run = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        for key in ("success", "iou", "nfe", "clip_edited", "lpips", "area_ratio"):
            client.log_metric(run, key, value)
        client.set_terminated(run)
    write_views(client, experiment, questions=[LOSSES])
    with server(default_uri(tmp_path), folder=tmp_path, port=free_port()) as address:
        words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                 "--window-size=1440,1000", f"--user-data-dir={tmp_path / 'browser'}",
                 "--virtual-time-budget=30000",
                 view_url(experiment, LOSSES, server=address)]  # fmt: skip
        page = subprocess.run(words, capture_output=True, text=True, timeout=240, check=True,
                              env={**os.environ, "HOME": str(tmp_path)}).stdout  # fmt: skip
    shown = [name for name in re.findall(r">([a-z_]+)<", page) if name in
             ("success", "iou", "nfe", "clip_edited", "lpips", "area_ratio")]  # fmt: skip
    assert shown == ["success", "iou", "nfe", "clip_edited", "lpips"]
