"""The wheel, alone in an empty folder: no checkout, and none of the libraries that extras bring."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lr_edit.cli.extras import BROUGHT_BY, EXTRAS
from lr_edit.workspace.pictures import write_image
from tests.eval.picture_folder import picture, pictures
from tests.source_tree import ROOT

# Run in front of what is tried: hides the extras' libraries, as a base install does.
BASE_INSTALL = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files alone."""
    home = tmp_path_factory.mktemp("wheel")
    for name in ("lr_edit", "eval"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, home / "source" / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, home / "source" / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", f"--wheel-dir={home}", f"{home}/source"]
    subprocess.run([*pip, "wheel", *options], check=True, capture_output=True)
    (wheel,) = home.glob("*.whl")
    options = ["--no-deps", "--no-index", f"--target={home}/site", f"{wheel}"]
    subprocess.run([*pip, "install", *options], check=True, capture_output=True)
    return home / "site"


def run(site: Path, code: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Python in the current directory, with the wheel and its base dependencies."""
    head = BASE_INSTALL.format(hidden={*EXTRAS, *BROUGHT_BY})
    return subprocess.run(
        [sys.executable, "-c", head + code, *map(str, words)], text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(site)}, check=False,
    )  # fmt: skip


SCRIPT = """
import contextlib, io, json, sys
import numpy as np, torch
from PIL import Image
import lr_edit
from lr_edit.cli.main import main
from eval import mean_squared_error

def run(*words):
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(list(words))
    except SystemExit as stop:
        code = stop.code
    return code, out.getvalue(), err.getvalue()

pair = [torch.from_numpy(np.array(Image.open(p))).permute(2, 0, 1)[None] / 255
        for p in ("a.png", "b.png")]
print(json.dumps({
    "home": lr_edit.__file__,
    "score": run("score", "a.png", "b.png", "--metrics", "mse,psnr", "--json"),
    "evaluate": run("evaluate", "--dataset", "csv:list.csv", "--edits", "edits", "--metrics",
                    "mse,ssim,change"),
    "value": mean_squared_error(*pair, region="whole").item(),
    "publish": run("--root", sys.argv[1], "publish"),
    "edit": run("--root", sys.argv[1], "edit", "a.png", "--source", "x", "--prompt", "y"),
}))
"""


@pytest.mark.long
def test_edits_are_evaluated_from_the_wheel_and_more_is_named(home: Path, site: Path) -> None:
    pictures(home)
    for n, name in enumerate("ab"):
        write_image(home / f"{name}.png", picture(n, height=64, width=64))
    found = run(site, SCRIPT, ROOT)
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout)
    assert result["home"].startswith(str(site))
    code, out, err = result["score"]
    assert code == 0, err
    value = json.loads(out)["metrics"]["whole_mse"]["value"]
    assert result["value"] == pytest.approx(value, rel=1e-6)
    code, out, err = result["evaluate"]
    assert code == 0, err
    for name in ("per_image.csv", "evaluation.json", "table.md", "table.tex"):
        assert (home / "evaluation" / name).is_file()
    for command, extra in (("publish", "study"), ("edit", "edit")):
        code, out, err = result[command]
        assert code == 2 and f"lr-edit[{extra}]" in err, err


def test_the_base_install_pulls_no_library_of_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {line.split(">=")[0] for line in project["dependencies"]}
    assert not base & {*EXTRAS, "gradio"}
    for module, extra in EXTRAS.items():
        names = {line.split(">=")[0] for line in project["optional-dependencies"][extra]}
        assert module in names, f"{extra} brings no {module}"
