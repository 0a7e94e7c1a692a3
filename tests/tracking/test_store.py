"""MLflow's store: made whole or not at all, and one sentence for each way in which it fails."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lr_edit.errors import UserError
from lr_edit.tracking.publish import publish
from lr_edit.tracking.store import database, explain, without_secrets
from tests.finished_study import make_study
from tests.tiny import run as run_command
from tests.tiny import tiny_params, write_params

VARIANTS = {"learned": {"learner": "exact"}}

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # MLflow's engine closes at exit
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("LR_EDIT_CACHE", str(tmp_path / "cache"))
    make_study(tmp_path / "study", VARIANTS, tasks=1)
    return tmp_path / "study"


def warning(root: Path, uri: str | None = None) -> str:
    """What publishing says where it fails, which is one line."""
    receipt = publish(root, tracking_uri=uri)
    assert receipt.warning and set(receipt.as_dict()) == set(VARIANTS)
    assert "\n" not in receipt.warning and "the study's files are complete" in receipt.warning
    return receipt.warning


@pytest.mark.parametrize("name", ["a%20b", "a?x=1", "a#b", "a b", "ä'\"字", "a%b"])
def test_a_folder_of_any_name_keeps_its_own_database(
    root: Path, empty_store: Path, tmp_path: Path, name: str
) -> None:
    moved = tmp_path / "odd" / name
    shutil.copytree(root, moved)
    shutil.copyfile(empty_store, moved / "mlflow.db")
    assert publish(moved).warning is None
    assert [path.name for path in (tmp_path / "odd").iterdir()] == [name]
    with closing(sqlite3.connect(moved / "mlflow.db")) as made:
        assert made.execute("select count(*) from runs").fetchone() == (3,)
    assert any((moved / "mlruns").rglob("choices.json"))


def test_a_database_is_made_in_a_folder_whose_name_holds_both_quotes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "o'u\"r:x"
    shutil.copytree(root, moved)
    monkeypatch.chdir(moved)
    assert publish(moved).warning is None
    assert publish(moved, tracking_uri=f"sqlite:///{tmp_path / 'x.db'}").warning is None
    with closing(sqlite3.connect(moved / "mlflow.db")) as made:
        assert made.execute("select count(*) from runs").fetchone() == (3,)


def test_another_program_s_database_is_left_as_it_is(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "x.db"
    with closing(sqlite3.connect(place)) as other:
        other.execute("create table alembic_version (version_num text)")
    before = place.read_bytes()
    with pytest.raises(UserError, match=r"x\.db is another program's database: name a new file"):
        publish(root, tracking_uri=f"sqlite:///{place}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}")  # no stage fails for it
    assert "it is another program's database" in (publish(root).warning or "")
    assert place.read_bytes() == before


def test_a_database_elsewhere_keeps_its_files_beside_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    receipt = publish(root, tracking_uri=f"sqlite:///{there / 'x.db'}")
    assert f"their files lie in {(there / 'mlruns').as_uri()}" in receipt.text
    assert any((there / "mlruns").rglob("choices.json")) and not list(here.iterdir())


@pytest.mark.parametrize("place", ["notes.txt", "/dev/null", "no\0name"])
def test_what_is_no_database_is_refused(root: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "notes.txt").write_text("my notes\n" * 99)
    with pytest.raises(UserError, match=r"is no database|can be no database|is no address"):
        publish(root, tracking_uri=f"sqlite:///{tmp_path / place}")
    assert (tmp_path / "notes.txt").read_text() == "my notes\n" * 99


def test_a_link_to_a_database_that_is_not_there_yet_is_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    database(root).unlink(missing_ok=True)
    database(root).symlink_to(tmp_path / "disk/new.db")
    assert publish(root).warning is None
    assert database(root).is_symlink() and (tmp_path / "disk/new.db").is_file()
    assert any((root / "mlruns").rglob("choices.json"))


def test_an_empty_database_is_filled(root: Path, tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    assert publish(root, tracking_uri=f"sqlite:///{tmp_path / 'x.db'}").warning is None


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"no database" * 99, "file is not a database"), (None, "unable to open database file")],
)
def test_a_database_that_is_none_is_one_sentence(
    root: Path, content: bytes | None, said: str
) -> None:
    database(root).write_bytes(content) if content else database(root).mkdir()
    start = time.monotonic()
    assert said in warning(root) and "move mlflow.db and mlruns away" in warning(root)
    assert time.monotonic() - start < 10


def test_a_database_that_was_left_half_made_is_one_sentence(root: Path, empty_store: Path) -> None:
    shutil.copyfile(empty_store, database(root))
    with closing(sqlite3.connect(database(root))) as made:
        made.execute("create table _alembic_tmp_runs (a int)")
    assert "left half made" in warning(root)


def test_a_locked_database_is_one_sentence(
    root: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lr_edit.tracking.store.PATIENCE", 0.2)
    shutil.copyfile(empty_store, database(root))
    with closing(sqlite3.connect(database(root), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "database is locked" in warning(root)
    assert publish(root).warning is None


@pytest.mark.parametrize(
    "uri",
    ["postgresql://me:s3cret@localhost/x", "mysql://me:s3cret@localhost/x",
     "http://me:s3cret@127.0.0.1:1", "http://127.0.0.1:1/?token=s3cret"],
)  # fmt: skip
def test_a_store_that_is_not_there_is_one_sentence_without_a_password(root: Path, uri: str) -> None:
    said = warning(root, uri)
    assert "s3cret" not in said and "run `lr-edit publish`" in said


@pytest.mark.parametrize(
    "uri",
    ["odd://me:s3cret@x", "http://[::1", "", " ", "http://127.0.0.1:99999", "http://127.0.0.1:x",
     "http://127.0.0.1:0", "file:///x/mlruns", "mlruns", "sqlite:x"],
)  # fmt: skip
def test_what_names_no_store_is_the_users_to_mend(
    root: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        UserError, match=r"names no MLflow server or database|is no address"
    ) as refused:
        publish(root, tracking_uri=uri)
    assert "s3cret" not in str(refused.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "odd://me:s3cret@x")  # no stage fails for it
    assert "s3cret" not in (publish(root).warning or "s3cret")


@pytest.mark.parametrize(
    "uri",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite:///:memory:",
     "sqlite:///file:x?mode=memory&uri=true", "sqlite://me:s3cret@h/:memory:"],
)  # fmt: skip
def test_nothing_is_published_into_memory(
    root: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="a database in memory") as refused:
        publish(root, tracking_uri=uri)
    assert "s3cret" not in str(refused.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert "of which nothing would be left" in (publish(root).warning or "")


def test_a_database_that_can_be_none_is_the_users_to_mend(root: Path) -> None:
    for place in (root, root / "nowhere/x.db"):
        with pytest.raises(UserError, match="can be no database: name a file in a folder"):
            publish(root, tracking_uri=f"sqlite:///{place}")


def test_a_database_without_its_driver_says_what_to_install(root: Path) -> None:
    said = explain(ModuleNotFoundError("No module", name="psycopg"), root, uri="postgresql://h/x")
    assert said.endswith("install psycopg, then run `lr-edit publish`")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:a%40b@h/x?key=k1", "http://***@h/x"),
        ("no a@b, no a%40b, no k1", "no ***, no ***, no ***"),
        ("http://me:a%40b@h/x;token=k2", "http://***@h/x"),
        ("'bob:k6@h' names none", "'***@h' names none"),
        (
            "databricks wants put-secret me a%40b@h-host",
            "databricks wants put-secret *** ***@h-host",
        ),
        ("some of me://h, by me", "some of me://h, by ***"),
        ("at http://h/x#k3 and http://h/x;k4#k5?k6", "at http://h/x and http://h/x"),
    ],
)
def test_no_secret_of_a_uri_is_in_a_sentence(text: str, shown: str) -> None:
    assert without_secrets(text, "http://me:a%40b@h/x?key=k1") == shown


class _Broken(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@contextmanager
def answering_500() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Broken) as broken:
        threading.Thread(target=broken.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{broken.server_port}"
        broken.shutdown()


def test_a_server_that_answers_500_is_one_sentence(root: Path) -> None:
    with answering_500() as uri:
        assert uri in warning(root, uri)


def test_a_server_that_never_answers_costs_its_timeout_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 15
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        warning(root, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - start < 1.9


def test_the_command_fails_where_the_stage_does_not(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = publish(root, tracking_uri="http://127.0.0.1:1")
    write_params(root, tiny_params())
    monkeypatch.setattr("lr_edit.tracking.publish.publish", lambda *_, **__: receipt)
    assert run_command(root, "publish", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["warning"] == receipt.warning and said["learned"]["input"]
    assert run_command(root, "publish") == 1
    streams = capsys.readouterr()
    assert streams.err == f"lr-edit: {receipt.warning}\n" and not streams.out
    monkeypatch.setattr("lr_edit.stages.publish.publish", lambda *_, **__: receipt)
    assert run_command(root, "stage", "publish") == 0
    assert "warning" not in json.loads((root / "artifacts/receipt.json").read_text())


def test_a_database_that_is_interrupted_while_it_is_made_is_no_database(
    root: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(uri: str, _: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"half of it")
        Path(uri.removeprefix("sqlite:///") + "-journal").touch()
        raise KeyboardInterrupt

    (root / ".mlflow.db.1.0.part").touch()  # of a process that was killed
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore", interrupted)
        publish(root)
    assert not database(root).exists()
    assert [path.name for path in root.glob(".mlflow.db.*.part")] == []


def test_a_checkout_of_somebody_else_s_is_not_told_to_be_emptied(root: Path) -> None:
    error = PermissionError(13, "Permission denied", "cache/publish.lock")
    said = explain(error, root, uri=f"sqlite:///{database(root)}")
    assert "LR_EDIT_CACHE" in said and "move" not in said
