"""doctor: a flipped bit in DVC's cache or in the bundled store is found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lr_edit.cli.doctor import damaged_objects
from tests.tiny import run


@pytest.mark.parametrize("home", [".dvc/cache", "dvcstore"])
@pytest.mark.parametrize("suffix", ["", ".dir"])
def test_a_flipped_bit_is_found(
    root: Path, capsys: pytest.CaptureFixture[str], home: str, suffix: str
) -> None:
    name = hashlib.md5(b"content").hexdigest()
    path = root / home / "files/md5" / name[:2] / f"{name[2:]}{suffix}"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")
    assert damaged_objects(root) == []
    path.write_bytes(b"cOntent")
    assert damaged_objects(root) == [path]
    assert run(root, "doctor", "--json") == 1
    assert json.loads(capsys.readouterr().out)["damaged"] == [str(path)]
