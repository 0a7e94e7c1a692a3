"""MLflow's store: where it is, how its database is made, and what is said where it does not answer.

The database is made under another name and renamed, by one process at a time: MLflow's migrations
take seconds, and a file that they were interrupted in is broken for good. No sentence holds a
password. The only module that imports mlflow: it first tells it how long to wait.
"""

from __future__ import annotations

import os
import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from filelock import FileLock, Timeout

from lr_edit.errors import Notice, UserError
from lr_edit.files import atomic_write
from lr_edit.tracking.ui import SETTINGS
from lr_edit.workspace.paths import cache_folder, home

# Set before the import: MLflow reads some of them once. A server that is gone would otherwise
# block every call for four minutes, and one that accepts and never answers for as long.
for _key, _value in {
    **SETTINGS,
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "12",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
}.items():
    os.environ.setdefault(_key, _value)

from alembic.util import CommandError  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import (  # noqa: E402, F401
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
)
from mlflow.exceptions import MlflowException  # noqa: E402
from sqlalchemy import create_engine, inspect, make_url  # noqa: E402
from sqlalchemy.exc import ArgumentError, SQLAlchemyError  # noqa: E402

# Whatever a server, a database or its driver answers with instead of doing what it is asked.
# requests' errors are OSErrors; a URI that nobody can read is a ValueError.
FAILURES = (MlflowException, SQLAlchemyError, sqlite3.Error, CommandError, OSError, ImportError,
            ValueError)  # fmt: skip
SERVED = ("http", "https", "databricks")  # the others are SQLAlchemy's
SCHEMES = (*SERVED, "sqlite", "postgresql", "mysql", "mssql")  # MLflow writes no folders any more
DRIVERS = {"MySQLdb": "mysqlclient"}  # module -> package, where they differ
PATIENCE = 10  # seconds that a database has to answer
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY")


def database(root: Path) -> Path:
    """The SQLite file of a checkout."""
    return home(root) / "mlflow.db"


def default_uri(root: Path) -> str:
    """The same as MLflow takes it. What a URI would take for a sign of its own is quoted; under
    `sqlite:` MLflow would then make a folder of the quoted name."""
    return _uri_of(database(root))


def _uri_of(file: Path) -> str:
    path = file.as_posix()
    quoted = path.replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{path}" if quoted == path else f"sqlite+pysqlite:///{quoted}"


def check_uri(uri: str) -> None:
    """UserError for what names no store of MLflow's."""
    shown = without_secrets(uri, uri)
    try:
        parts = urlsplit(uri)
        if parts.port == 0 or "\0" in uri:
            raise ValueError
    except ValueError:
        raise UserError(
            f"{shown!r} is no address: look at its port, from 1 to 65535, and its brackets"
        ) from None
    scheme, place = parts.scheme.split("+")[0], Path("file:")
    if scheme == "sqlite":
        try:
            place = Path(str(make_url(uri).database))
        except ArgumentError:
            scheme = "?"
    if scheme not in SCHEMES:
        raise UserError(
            f"{shown!r} names no MLflow server or database: begin it with "
            f"{', '.join(f'{one}:' for one in SCHEMES)}"
        )
    if scheme == "sqlite" and _is_in_memory(uri):
        raise UserError(f"{shown!r} is a database in memory, of which nothing is left: name a "
                        "file, as sqlite:///mlflow.db")  # fmt: skip
    if place.name.startswith("file:"):
        return
    if (place.exists() and not place.is_file()) or not place.absolute().parent.is_dir():
        raise UserError(f"{place} can be no database: name a file in a folder that is there")
    try:
        if place.is_file() and _is_foreign(_read_tables(uri)):
            raise UserError(f"{place} is another program's database: name a new file, or MLflow's")
    except SQLAlchemyError as error:  # one that does not answer is said when it is published to
        if "not a database" in str(error):
            raise UserError(f"{place} is no database: name a new file, or MLflow's") from None


def _is_in_memory(uri: str) -> bool:
    try:
        found = make_url(uri)
    except ArgumentError:
        return False
    return not found.database or ":memory:" in found.database or "memory" in found.query.values()


def artifacts_of(root: Path, uri: str) -> Path | None:
    """The folder of the files of a store: beside a database that is a file, else in the checkout;
    None for a server, which keeps its own."""
    if urlsplit(uri).scheme.split("+")[0] in SERVED:
        return None
    if not uri.startswith("sqlite"):
        return home(root) / "mlruns"
    file = (make_url(uri).database or "").removeprefix("file:")
    return Path(file).absolute().parent / "mlruns"


def open_store(root: Path, uri: str) -> MlflowClient:
    """A client of a store that answers; raises one of FAILURES.

    A database is asked once before MLflow asks it, which tries ten times in 100 s. The checkout's
    own is made where there is none: call it while `only_publisher` lasts.
    """
    path = database(root)
    if uri == default_uri(root) and not (path.exists() and path.stat().st_size):
        _make_database(path.resolve(), home(root) / "mlruns")  # a link leads there
    if uri.startswith("sqlite") and _is_in_memory(uri):
        raise ValueError("a database in memory, of which nothing would be left")
    if urlsplit(uri).scheme not in SERVED and not _ask_database(uri):
        _fill_database(uri, artifacts_of(root, uri) or home(root) / "mlruns")
    return MlflowClient(uri)


def _make_database(path: Path, artifacts: Path) -> None:
    for left in path.parent.glob(f".{path.name}.*"):  # by a process that was killed at it
        left.unlink(missing_ok=True)
    with atomic_write(path) as part:
        _fill_database(_uri_of(part), artifacts)


def _fill_database(uri: str, artifacts: Path) -> None:
    """Bring MLflow's tables into an empty database. MLflow writes where artifacts lie into its SQL
    as it is: a folder's name with both kinds of quotes would break that, its URI does not."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # servers need none

    store = SqlAlchemyStore(uri, artifacts.as_uri())
    store._dispose_engine()  # nothing of it is open when it is renamed


def _ask_database(uri: str) -> bool:
    """Whether a database holds MLflow's tables yet. SQLAlchemyError, ImportError or ValueError
    where it does not answer, was left half made, or holds another program's."""
    tables = _read_tables(uri, write=uri.startswith("sqlite"))
    if any("_alembic_tmp" in name for name in tables):
        raise ValueError("it was left half made")
    if _is_foreign(tables):
        raise ValueError("it is another program's database")
    return bool(tables)


def _read_tables(uri: str, *, write: bool = False) -> list[str]:
    """The names of a database's tables; with `write`, if it may be written to."""
    slow = {"timeout": PATIENCE} if uri.startswith("sqlite") else {"connect_timeout": PATIENCE}
    engine = create_engine(uri, connect_args=slow)
    try:
        if write:  # a lock, or a file that may only be read
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _is_foreign(tables: list[str]) -> bool:
    """Whether a database that is not empty lacks what every one of MLflow's has."""
    return bool(tables) and not {"experiments", "alembic_version"} <= set(tables)


@contextmanager
def only_publisher(root: Path) -> Iterator[None]:
    """One writer at a time; another one is waited for, which is said."""
    path = cache_folder(root) / "publish.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        warnings.warn("another process publishes here: waiting for it", Notice, stacklevel=3)
        lock.acquire(timeout=600)
    try:
        yield
    finally:
        lock.release()


def explain(error: BaseException, root: Path, *, uri: str) -> str:
    """One sentence: which store, why, and what to do. Credentials are left out."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    cure = "run `lr-edit publish` when it is back"
    if uri == default_uri(root) and not isinstance(error, Timeout):
        cure = (
            "if it stays so, move mlflow.db and mlruns away and run `lr-edit publish`, which fills "
            "new ones"
        )
    if isinstance(error, PermissionError):  # somebody else's checkout
        cure = "work in a checkout of your own, or name a LR_EDIT_CACHE that you may write"
    if isinstance(error, ModuleNotFoundError):  # the database's own driver
        driver = DRIVERS.get(str(error.name), error.name)
        cure = f"install {driver}, then run `lr-edit publish`"
    if "readonly database" in reason:
        cure = "it may only be read here: work in a checkout that you may write"
    said = f"MLflow at {without_secrets(uri, uri)} failed ({without_secrets(reason, uri)[:200]})"
    return f"{said}; the study's files are complete: {cure}"


def without_secrets(text: str, uri: str) -> str:
    """A text without the password, the user or the query of a URI, what else stands behind its
    path, or a secret of the environment."""
    try:
        parts = urlsplit(uri)
        secrets = [parts.password, unquote(parts.password or "")]
        secrets += [value for _, value in parse_qsl(parts.query)]
        users = {parts.username, unquote(parts.username or "")}
    except ValueError:
        secrets, users = [], set()
    secrets += [os.environ.get(key) for key in _SECRETS]
    text = re.sub(r"(?<=://)[^/\s]*@|[^\s/@'\"]+:[^\s/@]+@", "***@", text)
    if not uri.startswith("sqlite"):  # whose path may hold a `?`
        text = re.sub(r"(://[^\s?#;]*)[?#;]\S*", r"\1", text)
    for secret in sorted({one for one in secrets if one}, key=len, reverse=True):
        text = text.replace(secret, "***")
    for user in filter(None, users):  # as a word that is no scheme: one may be part of any other
        text = re.sub(rf"(?<!\w){re.escape(user)}(?!\w|(\+\w+)?://)", "***", text)
    return text
