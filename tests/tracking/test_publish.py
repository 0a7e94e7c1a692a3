"""Publishing a finished study: what MLflow holds afterwards, and what happens the second time."""

from __future__ import annotations

import shutil
import socket
import urllib.request
from pathlib import Path
from urllib.request import url2pathname

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from lr_edit.errors import UserError
from lr_edit.tracking.publish import default_uri, publish, serve
from lr_edit.tracking.store import database
from lr_edit.tracking.ui import server
from lr_edit.workspace.storage import study_tasks
from tests.finished_study import lock, make_study, write_report, write_results
from tests.tiny import run
from tests.tracking.conftest import VARIANTS

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # MLflow's engine closes at exit
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def runs(root: Path, uri: str | None = None) -> list[Run]:
    """Those of the variants, oldest first."""
    return [run for run in all_runs(root, uri) if run.data.tags["question"] == "variants"]


def all_runs(root: Path, uri: str | None = None) -> list[Run]:
    client = MlflowClient(uri or default_uri(root))
    experiment = client.get_experiment_by_name("lr-edit small")
    assert experiment is not None
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])


def tagged(root: Path, variant: str, tag: str) -> list[str | None]:
    """The tag of every run of a variant, oldest first."""
    return [r.data.tags.get(tag) for r in runs(root) if r.data.tags["row"] == variant]


def rerun(root: Path, variant: str, *, learner: str | None = None, seed: int = 0) -> None:
    """As `dvc repro` after an edit of params.yaml (`learner`) or on another machine (`seed`)."""
    if learner:
        text = (root / "params.yaml").read_text()
        old = "learner: exact" if "learner: exact" in text else "learner: gumbel"
        (root / "params.yaml").write_text(text.replace(old, f"learner: {learner}"))
    write_results(root, variant, study_tasks(root), seed=seed)
    write_report(root, list(VARIANTS))
    lock(root, list(VARIANTS))


def test_a_clone_without_artifacts_shows_the_numbers_and_later_the_pictures(root: Path) -> None:
    shutil.move(root / "artifacts", root / "kept")
    assert len(publish(root).added) == 4
    assert not (root / "mlruns" / runs(root)[-1].info.run_id / "artifacts/images").exists()
    shutil.move(root / "kept", root / "artifacts")
    assert publish(root).added == ("untrained", "learned")
    assert publish(root).added == ()
    assert [run.data.tags["current"] for run in runs(root)] == ["false", "false", "true", "true"]


def test_runs_of_an_older_format_are_superseded(root: Path) -> None:
    publish(root)
    client, old = MlflowClient(default_uri(root)), runs(root)[-1].info.run_id
    client.set_tag(old, "format", "1")
    assert publish(root).added == ("learned",)
    assert client.get_run(old).data.tags["current"] == "false"


def test_publishing_twice_adds_nothing(root: Path) -> None:
    first = publish(root)
    before = [run.to_dictionary() for run in runs(root)]
    second = publish(root)
    assert second.added == ()
    assert second.keys == first.keys
    assert [run.to_dictionary() for run in runs(root)] == before


def test_files_of_runs_that_are_gone_are_brought_again(root: Path) -> None:
    publish(root)
    shutil.rmtree(root / "mlruns")
    assert set(publish(root).added) == set(VARIANTS)
    current = [run for run in runs(root) if run.data.tags["current"] == "true"]
    assert len(current) == len(VARIANTS) and publish(root).added == ()
    for one in current:
        place = url2pathname(one.info.artifact_uri.removeprefix("file://"))
        assert any(Path(place).rglob("*.png"))


def test_a_changed_variant_supersedes_and_a_returning_one_is_current_again(root: Path) -> None:
    publish(root)
    rerun(root, "learned", learner="gumbel", seed=1)
    assert publish(root).added == ("learned",)
    assert tagged(root, "learned", "current") == ["false", "true"]
    assert tagged(root, "learned", "rerun_of") == [None, None]
    old, new = (run for run in runs(root) if run.data.tags["row"] == "learned")
    assert old.data.tags["superseded_by"] == new.info.run_id
    assert old.data.tags["mlflow.runColor"] == new.data.tags["mlflow.runColor"]
    assert tagged(root, "untrained", "current") == ["true"]

    make_study(root, VARIANTS)
    assert publish(root).added == ()
    assert tagged(root, "learned", "current") == ["true", "false"]
    assert tagged(root, "learned", "superseded_by") == [None, old.info.run_id]


def test_other_results_from_the_same_inputs_are_marked_as_a_rerun(root: Path) -> None:
    publish(root)
    first = next(run for run in runs(root) if run.data.tags["row"] == "learned")
    rerun(root, "learned", seed=99)
    assert publish(root).added == ("learned",)
    assert tagged(root, "learned", "rerun_of") == [None, first.info.run_id]
    assert tagged(root, "learned", "current") == ["false", "true"]


def test_a_variant_that_is_gone_is_no_longer_current(root: Path) -> None:
    publish(root)
    text = (root / "params.yaml").read_text().replace("  untrained: {}\n", "")
    (root / "params.yaml").write_text(text)
    publish(root)
    assert tagged(root, "untrained", "current") == ["false"]
    assert tagged(root, "learned", "current") == ["true"]


def test_a_queued_experiment_leaves_the_workspace_runs_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(root)
    copy = root / ".dvc/tmp/exps/one"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".dvc", "mlflow.db", "mlruns"))
    rerun(copy, "learned", learner="gumbel", seed=1)
    monkeypatch.setenv("DVC_EXP_NAME", "one")
    assert publish(copy).added == ("learned",)
    assert not (copy / "mlflow.db").exists()
    assert tagged(root, "learned", "experiment") == ["workspace", "one"]
    assert tagged(root, "learned", "current") == ["true", "true"]


def test_what_a_killed_writer_left_is_closed_and_written_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lr_edit.tracking.ledger.write_files", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(root)
    assert [run.info.status for run in runs(root)] == ["RUNNING"]
    assert set(publish(root).added) == {"learned", "untrained"}
    assert sorted(run.info.status for run in runs(root)) == ["FINISHED", "FINISHED", "KILLED"]


def test_a_workspace_that_differs_from_its_lock_is_refused(root: Path) -> None:
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("learner: exact", "learner: gumbel"))
    with pytest.raises(UserError, match=r"variants.learned.learner = 'gumbel'.*run `dvc repro`"):
        publish(root)
    assert not (root / "mlruns").exists()


def test_a_store_from_another_checkout_is_refused(root: Path, tmp_path: Path) -> None:
    publish(root)
    moved = tmp_path / "moved"
    shutil.move(root, moved)
    with pytest.raises(UserError, match=r"delete mlflow\.db and mlruns"):
        publish(moved)


def test_a_server_that_is_gone_costs_one_warning(root: Path) -> None:
    receipt = publish(root, tracking_uri=f"http://127.0.0.1:{free_port()}")
    assert receipt.warning
    assert "run `lr-edit publish` when it is back" in receipt.text
    assert receipt.text.count("\n") == 0
    assert set(receipt.as_dict()) == set(VARIANTS)


def test_the_receipt_does_not_depend_on_where_it_was_published(root: Path) -> None:
    gone = publish(root, tracking_uri=f"http://127.0.0.1:{free_port()}")
    assert gone.as_dict() == publish(root).as_dict()


def test_the_comparison_opens_while_a_row_is_unfinished(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Path] = []
    monkeypatch.setattr("lr_edit.tracking.publish.serve", lambda root, port: shown.append(root))
    monkeypatch.setattr("lr_edit.cli.main.load_study", lambda _: (root, None))  # its own profile
    assert run(root, "ui") == 0 and shown == [root]
    assert "`lr-edit ui` opens them" not in capsys.readouterr().err  # it is what is running
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("learner: exact", "learner: gumbel"))
    assert run(root, "ui") == 0 and shown == [root, root]
    err = capsys.readouterr().err
    assert "--allow-missing`). What was published before is shown" in err
    database(root).unlink()
    assert run(root, "ui") == 2 and len(shown) == 2


def test_serving_before_publishing_says_what_to_do(root: Path) -> None:
    with pytest.raises(UserError, match="run `lr-edit publish` first"):
        serve(root)


def test_a_port_in_use_says_what_to_do(root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(UserError, match="pass another one with --port"),
            server(default_uri(root), folder=root, port=port),
        ):
            pass


@pytest.mark.long
def test_a_real_server_shows_keeps_and_survives(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = root / "server"
    store.mkdir()
    shutil.copyfile(root / "mlflow.db", store / "mlflow.db")
    port = free_port()
    with server(f"sqlite:///{store}/mlflow.db", folder=store, port=port) as address:
        first = publish(root, tracking_uri=address)
        assert first.warning is None
        assert publish(root, tracking_uri=address).added == ()
        assert [run.data.tags["current"] for run in runs(root, address)] == ["true", "true"]
        rerun(root, "learned", learner="gumbel", seed=1)
        assert publish(root, tracking_uri=address).added == ("learned",)
        current = sorted(run.data.tags["current"] for run in runs(root, address))
        assert current == ["false", "true", "true"]
        assert list(first.links) == ["Variants", "Losses", "Sizes"]
        with urllib.request.urlopen(first.links["Losses"], timeout=10) as page:
            assert b"MLflow" in page.read()
    assert publish(root, tracking_uri=address).warning


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
