"""What the package is installed from: pins with hashes, and a container's recipe."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.source_tree import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STEPS = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line[:1].isalpha()]


def plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, tuple[str, list[str]]]:
    """Name -> version and hashes."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCK)
    found = {}
    for entry in entries:
        if hit := re.match(r"([\w.-]+)==([^\s;]+)", entry):
            found[plain(hit[1])] = hit[2], re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry)
    return found


def test_every_pin_is_locked_with_hashes() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    apart = {plain(one) for one in re.findall(r"^PAGE := (.*)$", makefile, re.M)[0].split()}
    packages, names = locked(), {plain(name) for name in pins}
    assert "gradio" in apart <= names  # installed without its dependencies: in no lock
    kept = {plain(name): version for name, version in pins.items() if plain(name) not in apart}
    assert kept.items() <= {name: version for name, (version, _) in packages.items()}.items(), (
        "run `make lock`"
    )
    assert all(hashes for _, hashes in packages.values())


def test_the_lock_names_no_place() -> None:
    assert not re.search(r"://|^-|@ ", LOCK, re.MULTILINE)


def test_every_requirement_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"],
              *project["optional-dependencies"]["docs"]]  # fmt: skip
    names = {plain(re.match(r"[\w.-]+", one)[0]) for one in wanted} - {"lr-edit"}  # type: ignore[index]
    assert names <= locked().keys()


def test_what_the_container_copies_is_there_and_reaches_its_build() -> None:
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().split("\n") if line[:1] == "!"
    }
    copied = {
        name
        for step, words in STEPS
        if step == "COPY" and "--from" not in words
        for name in words.split()[:-1]
    }
    assert copied == let_in and all((ROOT / name).exists() for name in copied)


def test_the_container_fetches_by_pip_alone_and_runs_as_a_user() -> None:
    steps = [name for name, _ in STEPS]
    assert "ADD" not in steps and "://" not in DOCKERFILE
    user = next(words for step, words in STEPS if step == "USER")
    assert user not in ("root", "0") and f" {user}" in next(
        words for step, words in STEPS if step == "RUN" and "useradd" in words
    )
    assert steps.index("USER") < steps.index("ENTRYPOINT")


def test_what_the_container_runs_is_what_the_project_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entry = re.findall(r'"([\w-]+)"', next(words for step, words in STEPS if step == "ENTRYPOINT"))
    assert set(entry) <= project["scripts"].keys()
    extras = re.search(r"'\.\[([\w,]+)\]'", DOCKERFILE)
    assert extras and set(extras[1].split(",")) <= project["optional-dependencies"].keys()
    programs = {
        Path(words.split()[1 if words.startswith("--") else 0]).name
        for step, words in STEPS
        if step == "RUN"
    }
    assert programs <= {"python", "pip", "useradd"}  # all are in the base image
    version = re.search(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert version and version[1] in ("3.11", "3.12", "3.13")


def test_make_works_in_a_folder_with_a_space(tmp_path: Path) -> None:
    home = tmp_path / "a b"
    tools = home / ".venv/bin"
    tools.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "data.dvc", "models.dvc"):
        shutil.copy(ROOT / name, home)
    for name in ("python", "dvc", "lr-edit"):  # each says how it was called
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{home}/calls"\n')
        (tools / name).chmod(0o755)
    targets = ["setup", "pull", "repro", "test", "deps", "pages", "ui", "push", "clean"]
    done = subprocess.run(
        ["make", *targets, f"PYTHON={sys.executable}"], cwd=home, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    calls = (home / "calls").read_text().splitlines()
    assert calls[0].startswith("python -m pip install") and len(calls) >= 9
    assert "dvc pull --quiet data.dvc models.dvc" in calls and "lr-edit where" in calls
