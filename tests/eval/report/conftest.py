"""A study that is finished, made once for all tests of reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eval.report.write import write_report
from eval.study.evaluate import evaluate
from lr_edit.workspace.storage import study_tasks, write_tasks
from tests.eval.artifact_tree import make_tree, small_config

EVIL = '<script>alert("x")</script> & "a boat"'  # the first task's prompt


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; whoever changes something in it puts it back."""
    folder, config = tmp_path_factory.mktemp("study"), small_config()
    make_tree(folder, config)
    tasks = study_tasks(folder)
    tasks[0] = replace(tasks[0], prompt=EVIL)
    write_tasks(folder / "artifacts/tasks/tasks.json", tasks)
    for name in config.variants:
        evaluate(folder, config, name=name)
    write_report(folder, config)
    return folder
