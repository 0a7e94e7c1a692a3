"""The bundled DVC store is whole: a clone that converted a line ending would be caught here.

`dvc pull` and `dvc status` alone say that all is well with a converted text object.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = ROOT / "dvcstore" / "files" / "md5"
TRACKED = sorted(ROOT.glob("[!.]*.dvc"))

needs_store = pytest.mark.skipif(
    not OBJECTS.exists() and not TRACKED, reason="nothing is tracked by DVC yet: no store"
)


def held() -> dict[str, Path]:
    """Hash (with `.dir` for folders) -> object."""
    paths = (path for path in OBJECTS.rglob("*") if path.is_file())
    return {path.parent.name + path.name: path for path in paths}


@needs_store
def test_every_object_is_named_by_its_own_hash() -> None:
    objects = held()
    assert objects, f"{OBJECTS.relative_to(ROOT)} is empty: run `dvc push`"
    wrong = [
        name
        for name, path in objects.items()
        if hashlib.md5(path.read_bytes()).hexdigest() != name.removesuffix(".dir")
    ]
    assert not wrong, f"damaged objects (a converted line ending?): {wrong}"


@needs_store
def test_every_folder_object_lists_objects_that_exist() -> None:
    objects = held()
    for name, path in objects.items():
        if name.endswith(".dir"):
            missing = [
                m["relpath"] for m in json.loads(path.read_text()) if m["md5"] not in objects
            ]
            assert not missing, f"{name} lacks {missing[:5]}: run `dvc push`"


@needs_store
@pytest.mark.parametrize("pointer", TRACKED, ids=lambda path: path.name)
def test_everything_tracked_is_in_the_store(pointer: Path) -> None:
    objects = held()
    for out in yaml.safe_load(pointer.read_text())["outs"]:
        assert out["md5"] in objects, f"{out['path']} was not pushed: run `dvc push`"


def test_git_never_converts_an_object() -> None:
    found = subprocess.run(
        ["git", "check-attr", "text", "--", "dvcstore/files/md5/00/0123"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if found.returncode:
        pytest.skip("not a git checkout")
    assert found.stdout.strip().endswith("text: unset"), found.stdout
