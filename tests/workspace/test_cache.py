"""The cache hands out what was kept, byte for byte, or says that it was damaged and nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lr_edit.workspace.cache import Cache

FILES = {"tables": b"some numbers", "images": b"some pixels" * 1000}
KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache with an entry of two files."""
    cache = Cache(tmp_path / "cache", "things")
    cache.keep(KEY, written(tmp_path / "made", FILES))
    return cache


def written(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_kept_comes_back_byte_for_byte(cache: Cache, tmp_path: Path) -> None:
    assert cache.restore(KEY, (tmp_path / "back").joinpath)
    assert read(tmp_path / "back") == FILES
    assert not cache.restore(OTHER, (tmp_path / "none").joinpath)
    assert not (tmp_path / "none").exists()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def largest(cache: Path) -> Path:
    return max((cache / "blobs").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())


def manifest(cache: Path) -> Path:
    return cache / "things" / f"{KEY}.json"


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
@pytest.mark.parametrize("where", [largest, manifest])
def test_a_damaged_entry_is_said_once_and_made_again(
    cache: Cache,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    where: Callable[[Path], Path],
    harm: Callable[[Path], None],
) -> None:
    harm(where(tmp_path / "cache"))
    assert not cache.restore(KEY, (tmp_path / "back").joinpath)
    said = capsys.readouterr().err
    gone = where is manifest and harm is Path.unlink  # an entry that never was
    assert said.count("\n") == (0 if gone else 1) and gone == (said == "")
    assert not cache.restore(KEY, (tmp_path / "back").joinpath)
    assert capsys.readouterr().err == ""
    cache.keep(KEY, written(tmp_path / "made", FILES))
    assert cache.restore(KEY, (tmp_path / "back").joinpath)
    assert read(tmp_path / "back") == FILES


def test_another_key_s_entry_is_not_taken_for_it(
    cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest(tmp_path / "cache").rename(tmp_path / "cache/things" / f"{OTHER}.json")
    assert not cache.restore(OTHER, (tmp_path / "back").joinpath)
    assert "damaged" in capsys.readouterr().err and not (tmp_path / "back").exists()
