"""doctor: the chosen profile first; a flipped bit in DVC's cache or in the store is found."""

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


def test_the_chosen_profile_comes_first_and_the_others_on_demand(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "doctor") == 0
    first, *rest = [line.split("│") for line in capsys.readouterr().out.splitlines()[1:]]
    assert [one.strip() for one in first[1:3]] == ["profile", "picturebook"]
    assert rest[0][1].strip() == "anchors"
    names = [line[1].strip() for line in rest if len(line) > 2]
    assert "others" in names and names.index("others") < names.index("device")
    assert run(root, "--profile", "sd2", "doctor", "--all", "--json") == 0
    profiles = [one["profile"] for one in json.loads(capsys.readouterr().out)["weights"]]
    assert profiles[0] == "sd2" and "picturebook" in profiles
