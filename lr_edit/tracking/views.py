"""What a person sees first: one saved view of MLflow's a question, its charts in the tables' order.

A view is a tag of the experiment, as the button "Views" of its page writes it; a link opens it. By
itself the page would show every metric there is, by the alphabet.
"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lr_edit.tracking.store import MlflowClient

PREFIX = "mlflow.sharedViewState."
# Metric -> the chart's title. The first screen holds the first six.
BARS = {
    "success": "Success, % ↑",
    "iou": "IoU, % ↑",
    "nfe": "NFE ↓",
    "clip_edited": "CLIP, edited part ↑",
    "lpips": "LPIPS of the background, ×10³ ↓",
    "score_s": "S ↑",
    "loss": "L ↓",
    "structure_distance": "Structure distance, ×10³ ↓",
    "retention": "Retention, % ↑",
    "s_above_released": "S less S of the release ↑",
    "correlation": "Rank correlation with the finals ↑",
}
LINES = {
    "train/expected_loss": "Expected loss of AnchorNet, by step ↓",
    "per_image/iou": "IoU, image by image ↑",
}
PICTURES = "images/edit"


@dataclass(frozen=True)
class Question:
    """What is compared in one view: its key among the runs' tags, its title, how many rows, the
    metrics that are the same in all of them, whose charts come last, and whether the rows have
    edits and curves to show."""

    key: str
    title: str
    rows: int
    same: frozenset[str] = frozenset()
    pictures: bool = True


def write_views(client: MlflowClient, experiment: str, *, questions: Iterable[Question]) -> None:
    """Make or mend the view of every question."""
    there = client.get_experiment(experiment).tags
    for question in questions:
        state, title = _state(question), question.title
        old = _read(there.get(PREFIX + question.key))
        if old.get("state") != state or old.get("name") != title:
            now = int(time.time() * 1000)
            view = {"name": title, "createdAt": old.get("createdAt", now), "updatedAt": now}
            client.set_experiment_tag(
                experiment, PREFIX + question.key, json.dumps(view | {"state": state})
            )


def view_url(experiment: str, question: Question, *, server: str) -> str:
    """The page of an experiment that shows the runs of one question side by side."""
    return (
        f"{server.rstrip('/')}/#/experiments/{experiment}/runs?viewStateShareKey={question.key}"
        "&compareRunsMode=CHART&workflowType=machine_learning"
    )


def _read(tag: str | None) -> dict[str, Any]:
    """A view that is there; an experiment's owner may have written anything."""
    try:
        view = json.loads(tag or "{}")
    except ValueError:
        return {}
    return view if isinstance(view, dict) else {}


def _state(question: Question) -> str:
    """The page's own state, packed: a tag holds 5,000 letters."""
    bars = sorted(BARS, key=lambda key: key in question.same)
    charts = [_bar(key, BARS[key]) for key in bars]
    tall = 140 + 20 * question.rows  # title, axis and legend; readable bars
    shown = [("means", 3, tall)]
    if question.pictures:
        charts += [_line(key, title) for key, title in LINES.items()]
        charts.append(_pictures())
        shown += [("edits", 1, 420), ("curves", 2, 360)]
    sections = [
        {"uuid": name, "name": name.capitalize(), "display": True, "isReordered": False,
         "columns": columns, "cardHeight": height}
        for name, columns, height in shown
    ]  # fmt: skip
    state = {
        "searchFilter": f"tags.current = 'true' and tags.question = '{question.key}'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": ["tags.`title`"],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
    }
    packed = zlib.compress(json.dumps(state, ensure_ascii=False).encode(), 9)
    return f"deflate;{base64.b64encode(packed).decode()}"


def _chart(kind: str, key: str, *, section: str) -> dict[str, Any]:
    return {
        "uuid": key,
        "type": kind,
        "runsCountToCompare": 20,
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
    }


def _bar(key: str, title: str) -> dict[str, Any]:
    return _chart("BAR", key, section="means") | {"displayName": title, "metricKey": key}


def _line(key: str, title: str) -> dict[str, Any]:
    return _chart("LINE", key, section="curves") | {
        "displayName": title,
        "metricKey": key,
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
    }


def _pictures() -> dict[str, Any]:
    chart = _chart("IMAGE", PICTURES, section="edits")
    return chart | {"imageKeys": [PICTURES], "step": 0, "showRunParams": False}
