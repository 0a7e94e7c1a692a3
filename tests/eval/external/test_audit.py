"""Judges on drawn edits: what is right, what is wrong, and who can tell."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from eval.external.audit import auroc, draw_exams, summarise_audit
from lr_edit.picturebook.exam import draw_exam
from tests.eval.external.test_judges import Server, good, server
from tests.eval.picture_folder import run

__all__ = ["server"]
EXAMS = draw_exams(3)


@pytest.mark.parametrize("category", ["replace", "recolour", "remove", "add"])
def test_every_wrong_edit_differs_from_the_right_one(category: str) -> None:
    for index in range(6):
        exam = draw_exam(category, index)
        again = draw_exam(category, index)
        assert (exam.right == again.right).all() and exam.task.category == category
        assert (exam.wrong["nothing"] == exam.source).all()
        for picture in exam.wrong.values():
            assert (picture != exam.right).any()


def test_an_auroc_is_scikit_learns_and_a_category_their_mean() -> None:
    scores = {"right": 0.7, "nothing": 0.7, "other": 0.1, "damaged": 0.9}
    labels = [name == "right" for name in scores]
    assert auroc(scores) == pytest.approx(roc_auc_score(labels, list(scores.values())))
    names = {f"{e.task.category}-{e.task.id}": e for e in EXAMS}
    table = {name: {"right": 1.0, "nothing": 0.0, "other": 0.0, "damaged": float("nan")}
             for name in names}  # fmt: skip
    found = summarise_audit(EXAMS, table, resamples=99)
    assert found["categories"]["all"]["mean"] == 1 and found["missing"] == len(EXAMS)
    assert found["categories"]["add"]["n"] == 3
    assert found["wrong"]["damaged"]["mean"] is None


def test_the_bundled_judges_are_audited_in_a_checkout(
    tiny_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_root)
    assert run("--root", tiny_root, "audit-judge", "--tasks", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 2 and "labels" in found
    for one in found.values():
        cells = one["categories"]
        assert {"all", "replace", "recolour", "remove", "add"} == set(cells)
        assert all(0 <= cell["mean"] <= 1 for cell in cells.values())


def test_a_judge_behind_a_url_is_audited(
    home: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that knows the right pictures tells them from all; one that likes all, from none."""
    right = {(exam.task.prompt, exam.right.tobytes()) for exam in draw_exams(2)}

    def react(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        content = body["messages"][0]["content"]
        url = [part["image_url"]["url"] for part in content if part["type"] == "image_url"][-1]
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))
        words, seen = content[-1]["text"], picture.tobytes()
        known = "turn this picture into" not in words or any(
            f"{prompt}\n" in words and seen == edit for prompt, edit in right
        )
        return 200, {}, good("[9, 9]" if known else "[2, 3]")

    server.react = react
    words = ["audit-judge", "--tasks", "2", "--judge-url", server.url, "--json"]
    assert run(*words, "--judge-model", "knows") == 0
    assert json.loads(capsys.readouterr().out)["knows"]["categories"]["all"]["mean"] == 1
    server.react = lambda n, body: (200, {}, good())
    assert run(*words, "--judge-model", "likes") == 0
    assert json.loads(capsys.readouterr().out)["likes"]["categories"]["all"]["mean"] == 0.5
    assert run("audit-judge", "--tasks", "2") == 2


@pytest.mark.long
def test_an_audit_keeps_the_judges_that_were_audited_before(
    tiny_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_root)
    words = ["--root", str(tiny_root), "audit-judge", "--out", str(tiny_root / "au"), "--json"]
    assert run(*words, "--tasks", "2") == 0
    first = json.loads(capsys.readouterr().out)
    assert run(*words, "--tasks", "3") == 2 and "2 tasks per category" in capsys.readouterr().err
    other = f"local-dir:{tiny_root / 'models/picturebook/scoring-clip'}"
    assert run(*words, "--tasks", "2", "--clip", other) == 0
    both = json.loads(capsys.readouterr().out)
    assert first.items() <= both.items() and len(both) == len(first) + 1
    assert run(*words, "--tasks", "2", "--clip", "local-dir:/nowhere") == 2
    assert run(*words, "--tasks", "2", "--judge-rule", "gedit") == 2
    assert "--judge-rule is for a judge" in capsys.readouterr().err
