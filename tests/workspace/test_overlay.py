"""Further studies of a checkout, each told by its differences alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lr_edit.cli.main import main
from lr_edit.config import load_config
from lr_edit.errors import UserError
from lr_edit.tracking.publish import publish
from lr_edit.tracking.verify import verify
from lr_edit.types import Box, EditTask, Truth
from lr_edit.workspace.overlay import apply_overlay, study_files, write_study
from lr_edit.workspace.storage import read_json, write_json, write_tasks
from tests.finished_study import lock, make_study
from tests.source_tree import ROOT

OVERLAYS = sorted(ROOT.glob("studies/*.yaml"))
ROWS = {"a": {"x": 1, "y": [1, 2]}, "b": {"x": 2}}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A checkout: the repository's parameters and pipeline, without code or data."""
    for name in ("params.yaml", "dvc.yaml", "lr_edit/stages/extra.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


@pytest.mark.parametrize("table", ["variants", "ablations"])
def test_a_null_removes_a_whole_table(top: Path, table: str) -> None:
    (top / "studies").mkdir()
    (top / "studies/bare.yaml").write_text(f"{table}: null\n")
    params = yaml.safe_load(study_files(top, "bare")["params.yaml"])
    assert params[table] == {}


def overlay(top: Path, name: str, differences: dict[str, Any]) -> None:
    (top / "studies").mkdir(exist_ok=True)
    (top / f"studies/{name}.yaml").write_text(yaml.safe_dump(differences))


def write_pair(data: Path) -> Path:
    """The released format's images.json, of one pair."""
    write_json(data / "images.json", {"1.png": ["trees", "a big tree"]})
    return data


def pipeline(top: Path, name: str, **how: Any) -> dict[str, Any]:
    return yaml.safe_load(study_files(top, name, **how)["dvc.yaml"])["stages"]


@pytest.mark.parametrize(
    ("differences", "rows"),
    [
        ({}, ROWS),
        ({"a": {"x": 3}}, {"a": {"x": 3, "y": [1, 2]}, "b": {"x": 2}}),
        ({"a": {"y": [7]}, "c": {"x": 9}}, {"a": {"x": 1, "y": [7]}, "b": {"x": 2}, "c": {"x": 9}}),
        ({"a": None}, {"b": {"x": 2}}),
        ({"only": ["b"]}, {"b": {"x": 2}}),
        ({"only": [], "c": {"x": 9}}, {"c": {"x": 9}}),
        ({"a": {"only": ["x"]}}, {"a": {"x": 1}, "b": {"x": 2}}),
        ({"a": 5}, {"a": 5, "b": {"x": 2}}),
    ],
)
def test_an_overlay_merges_tables_adds_removes_and_keeps_rows(differences, rows) -> None:
    assert apply_overlay(ROWS, differences, where="") == rows


@pytest.mark.parametrize(
    "differences",
    [{"A": None}, {"only": ["A"]}, {"a": {"z": None}}, {"only": [None]}, {"only": [1, "a"]}],
)
def test_an_overlay_that_removes_what_is_not_there_is_refused(differences) -> None:
    with pytest.raises(UserError, match=r"over\.yaml: there is no .* to keep or remove"):
        apply_overlay(ROWS, differences, where="over.yaml")


def test_a_study_reads_code_data_and_weights_above_it_and_reports_beside_the_others(
    top: Path,
) -> None:
    overlay(top, "val", {"study": {"split": "val"}})
    folder = write_study(top, "val")
    assert load_config(folder / "params.yaml").study.split == "val"
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    assert stages["prepare"]["outs"] == [{"artifacts/tasks": {"cache": False}}]
    assert {"../../data", "../../lr_edit/types.py"} <= set(stages["prepare"]["deps"])
    inpainting = stages["candidates"]["do"]["deps"]
    assert {"artifacts/tasks", "../../models/picturebook/inpainter"} <= set(inpainting)
    assert {"../../reports/val/results.json": {"cache": False}} in stages["report"]["outs"]
    assert "../../reports/val/results.json" in stages["publish"]["deps"]
    own = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert stages.keys() == own.keys()
    assert all(stages[name].get("foreach") == own[name].get("foreach") for name in own)


def test_a_study_without_variants_ends_with_what_is_made_of_its_candidates(top: Path) -> None:
    alone: dict[str, Any] = {"variants": {"only": []}, "ablations": {"only": []}}
    overlay(top, "bare", alone)
    assert list(pipeline(top, "bare")) == ["prepare", "candidates"]
    overlay(top, "train", {"study": {"split": "train"}, **alone})
    stages = pipeline(top, "train")
    assert list(stages) == ["prepare", "candidates", "amortise"]
    assert stages["amortise"]["outs"] == [{"artifacts/anchor-net": {"cache": False}}]
    race = {"only": [], "race": {"enumerate": {"proposals": "dino", "choose": "best"}}}
    overlay(top, "raced", alone | {"ablations": race})
    stages = pipeline(top, "raced")
    assert list(stages) == ["prepare", "candidates", "ablate", "race"]
    assert {"../../reports/raced/race.md": {"cache": False}} in stages["race"]["outs"]


def test_a_profile_and_a_data_folder_alone_make_a_study(top: Path) -> None:
    write_pair(top / "photos")
    files = study_files(top, "sd2", profile="sd2", data=top / "photos")
    params = yaml.safe_load(files["params.yaml"])
    assert params["profile"] == "sd2" and params["profiles"]["sd2"]["data"] == "../../photos"
    stages = yaml.safe_load(files["dvc.yaml"])["stages"]
    assert "../../photos" in stages["prepare"]["deps"]
    assert "../../data" not in stages["prepare"]["deps"]
    assert "models/" not in files["dvc.yaml"]
    rows = [row for group in params["ablations"].values() for row in group.values()]
    assert rows and not any(row.get("scope") == "dataset" for row in rows)  # sd2 has no such nets


def test_rows_on_models_that_a_profile_lacks_are_left_out(top: Path) -> None:
    data = write_pair(top / "photos")
    sets = {}
    for profile in ("z-image", "sd2"):
        params = yaml.safe_load(
            study_files(top, profile, profile=profile, data=data)["params.yaml"]
        )
        sets[profile] = set(params["proposals"])
        assert all(row["proposals"] in sets[profile] for row in params["variants"].values())
    assert sets["sd2"] - sets["z-image"] == {"instructed"}  # Z-Image edits no whole pictures
    assert "detected" in sets["z-image"]


def test_data_outside_the_checkout_is_named_by_its_whole_path(top: Path, tmp_path_factory) -> None:
    data = write_pair(tmp_path_factory.mktemp("photos"))
    stages = pipeline(top, "mine", data=data)
    assert str(data) in stages["prepare"]["deps"]


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        ("vall", {}, "did you mean 'val'"),
        ("../val", {}, "letters, digits"),
        ("typed", {}, "no 'propsals' to change; did you mean 'proposals'"),
        ("alone", {}, r"study\.baseline: unknown variant 'dino-random-size'"),
        ("odd", {"profile": "sd3"}, "unknown profile 'sd3'"),
        ("odd", {"data": Path("nowhere")}, "is no folder"),
        ("broken", {}, r"broken\.yaml: unknown parameter"),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_a_sentence(top: Path, name, how, words) -> None:
    overlay(top, "val", {"study": {"split": "val"}})
    overlay(top, "broken", {"study": {"splitt": "val"}})
    overlay(top, "typed", {"propsals": {"only": ["dino"]}})
    overlay(top, "alone", {"variants": {"only": ["learned"]}})
    with pytest.raises(UserError, match=words):
        study_files(top, name, **how)


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda p: p.stem)
def test_a_committed_study_is_what_its_overlay_makes_of_the_root(path: Path) -> None:
    written = path.with_suffix("") / "params.yaml"
    if not written.is_file():
        pytest.skip("it has not been run here")
    text = study_files(ROOT, path.stem)["params.yaml"]
    assert written.read_text() == text, f"stale: run `lr-edit study {path.stem}`"


@pytest.mark.parametrize("command", [["where"], ["verify"], ["pages"], ["trace", "learned", "iou"]])
def test_what_is_a_studys_is_refused_for_another_profile(top: Path, capsys, command) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--root", str(top), "--profile", "sd2", *command])
    assert "so nothing here is of 'sd2'" in capsys.readouterr().err


def test_a_stage_refuses_another_profile_than_its_parameters_name(top: Path, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--root", str(top), "--profile", "sd2", "stage", "prepare"])
    assert "lr-edit study NAME --profile sd2" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # MLflow's engine closes at exit
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_study_is_published_beside_the_others_and_verified_on_its_own(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / "cache"))
    top, study = tmp_path / "top", tmp_path / "top/studies/val"
    for root in (top, study):
        make_study(root, {"learned": {"learner": "exact"}})
    results = top / "reports/val/results.json"
    one = {"mean": 0.3, "low": 0.2, "high": 0.4, "n": 4, "missing": 0}
    write_json(results, {"variants": {"learned": {"iou": one}}, "ceilings": {}})
    lock(study, ["learned"])
    assert publish(top).added == ("sizes/two", "losses/clip", "learned", "val: learned")
    assert [publish(root).added for root in (study, top)] == [(), ()]
    assert (top / "mlflow.db").is_file() and not (study / "mlflow.db").exists()

    names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*names, "commit", "-qm", "studies"]):
        subprocess.run(["git", *words], cwd=top, check=True, capture_output=True)
    found = verify(study)
    assert found["cells"]["variants.learned.iou"]["verdict"] == "equal"
    assert found["first"] is None
    changed = read_json(results)
    changed["variants"]["learned"]["iou"]["mean"] = 0.9
    write_json(results, changed)
    assert verify(study)["cells"]["variants.learned.iou"]["verdict"] == "different"


@pytest.mark.parametrize("profile", ["sd2", "picturebook"])
@pytest.mark.parametrize(("known", "kept"), [(2, True), (1, False), (0, False)])
def test_rows_on_true_boxes_are_kept_where_every_task_has_one(
    top: Path, profile: str, known: int, kept: bool
) -> None:
    """One task with a box once kept them, and they failed on the others."""
    truths = [Truth(Box(0, 0, 8, 8), None)] * known + [None] * (2 - known)
    tasks = [
        EditTask(f"t{number}", Path(f"{number}.png"), "a boat", "a swan", truth=truth)
        for number, truth in enumerate(truths)
    ]
    write_tasks(top / "photos/tasks.json", tasks)
    files = study_files(top, "photos", profile=profile, data=top / "photos")
    params = yaml.safe_load(files["params.yaml"])
    assert ("truth" in {row["boxes"] for row in params["proposals"].values()}) == kept


def test_what_a_person_wrote_into_a_studys_folder_is_kept(top: Path) -> None:
    overlay(top, "val", {"study": {"split": "val"}})
    mine = top / "studies/val/params.yaml"
    mine.parent.mkdir()
    mine.write_text("mine: 1\n")
    with pytest.raises(UserError, match="was written by hand"):
        write_study(top, "val")
    assert mine.read_text() == "mine: 1\n"
    mine.unlink()
    assert write_study(top, "val") == write_study(top, "val")  # its own is written anew


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml"])
def test_a_change_by_hand_is_not_overwritten(tmp_path: Path, file: str) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "studies").mkdir()
    shutil.copytree(ROOT / "lr_edit/stages", tmp_path / "lr_edit/stages")
    shutil.copy(ROOT / "studies/val.yaml", tmp_path / "studies/val.yaml")
    shutil.copytree(ROOT / "data", tmp_path / "data")
    written = write_study(tmp_path, "val") / file
    assert write_study(tmp_path, "val") / file == written  # its own is written again
    changed = written.read_text() + "# mine\n"
    written.write_text(changed)
    with pytest.raises(UserError, match=r"was changed by hand: say in studies/val\.yaml"):
        write_study(tmp_path, "val")
    assert written.read_text() == changed


@pytest.mark.parametrize("name", ["gallery", "pdf", "Gallery"])
def test_a_study_is_not_called_what_the_checkout_s_own_reports_hold(top: Path, name: str) -> None:
    """Its reports would lie there: DVC refused every pipeline, and `report` emptied the folder."""
    with pytest.raises(UserError, match=rf"reports/{name} is the checkout's own: call the study"):
        study_files(top, name, profile="picturebook")
