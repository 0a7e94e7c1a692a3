"""DVC beyond `dvc repro`, with the real tool: a remote that is a folder, and queued experiments."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lr_edit.tracking.publish import default_uri
from lr_edit.tracking.store import MlflowClient
from tests.test_pipeline import dvc, project, reproduced, small_params  # noqa: F401
from tests.tiny import write_params

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # MLflow's engine closes at exit
]


def git(root: Path, *words: str) -> None:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *names, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def study(project: Path) -> Path:  # noqa: F811
    """A finished study whose code, parameters and lock are committed."""
    params = small_params()
    params["base"]["steps"] = 2  # `-S` changes what the file states
    params["variants"]["learned"].pop("steps", None)  # and `-S +` adds what it does not
    write_params(project, params)
    (project / ".dvc/config").write_text("[core]\n    check_update = false\n")
    ignored = ["/artifacts", "/cache", "/data", "/models", "/mlruns", "/mlflow.db*", "__pycache__/"]
    (project / ".gitignore").write_text("\n".join(ignored) + "\n")
    git(project, "init", "-q")
    dvc(project, "add", "--quiet", "data", "models")
    reproduced(project)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "a study")
    return project


def test_a_folder_keeps_a_study_for_others(study: Path, tmp_path: Path) -> None:
    dvc(study, "remote", "add", "--quiet", "mine", str(tmp_path / "far"))
    dvc(study, "push", "--quiet", "-r", "mine")
    git(study, "commit", "-qam", "a remote")
    other = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", study, other], check=True)
    dvc(other, "pull", "--quiet", "-r", "mine")
    for name in ("edits/learned", "nets/learned", "tables/dino", "scores"):
        folder = f"artifacts/{name}"
        assert sorted(p.name for p in (other / folder).iterdir()) == sorted(
            p.name for p in (study / folder).iterdir()
        )
    assert "Running stage" not in dvc(other, "repro", "--allow-missing", "--dry", "report")


def test_queued_experiments_land_in_mlflow_beside_the_workspace(study: Path) -> None:
    dvc(study, "exp", "run", "--queue", "--name", "shorter", "-S", "base.steps=1")
    dvc(study, "exp", "run", "--queue", "--name", "longer", "-S", "+variants.learned.steps=4")
    dvc(study, "exp", "run", "--run-all")
    client = MlflowClient(default_uri(study))
    (experiment,) = [one for one in client.search_experiments() if one.name.startswith("lr-edit")]
    runs = client.search_runs([experiment.experiment_id], "tags.row = 'learned'")
    steps = {run.data.tags["experiment"]: run.data.params["steps"] for run in runs}
    assert steps == {"workspace": "2", "shorter": "1", "longer": "4"}
    assert {run.data.tags["current"] for run in runs} == {"true"}
