"""docs/: what the pages say of the code is so, and what they show runs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from docs.hooks import departures, measures_list, models_table, tables_list
from eval.external.datasets import ADAPTERS
from eval.metrics.pair import Pair
from eval.metrics.suite import SUITE, measure
from lr_edit.choose import best_of_bank, choose, pick_sizes
from lr_edit.config import Config, as_config, load_config
from lr_edit.detect import detected_bank
from lr_edit.frozen import Inpainter
from lr_edit.frozen.models import Models
from lr_edit.inpaint import inpaint_candidates
from lr_edit.instruct import instructed_bank
from lr_edit.method import learn_sizes, make_bank
from lr_edit.profiles import lay_profiles
from lr_edit.types import EditTask, Sampler
from lr_edit.workspace.overlay import apply_overlay
from tests.fakes import FakeAnchors, FakeClip, FakeDetector, FakeInpainter, FakeSegmenter
from tests.source_tree import ROOT, modules

PAGES = sorted((ROOT / "docs").rglob("*.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


@each_page
def test_every_name_of_the_code_that_a_page_links_is_there_in_its_file(page: Path) -> None:
    for text, name in re.findall(r"\[([^][]*)\]\[((?:lr_edit|eval)\.[\w.]+)\]", page.read_text()):
        module = next(one for one in _above(name) if one in modules())
        for file in re.findall(r"`(\w+\.py)`", text):
            assert modules()[module].path.name == file, f"{page.stem}: {text}"
        node: ast.AST = modules()[module].tree
        for part in name.removeprefix(module).split(".")[1:]:
            kinds = ast.FunctionDef | ast.ClassDef
            inner = {one.name: one for one in ast.walk(node) if isinstance(one, kinds)}
            assert part in inner, f"{page.stem}: {name}"
            node = inner[part]


def _above(name: str) -> Iterator[str]:
    """a.b.c, a.b, a."""
    while name:
        yield name
        name = name.rpartition(".")[0]


@each_page
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    made = ("studies/NAME", "studies/gentle", "studies/outlines", "reports/sd2", "reports/NAME",
            "reports/gentle", "studies/train/artifacts")  # fmt: skip
    paths = re.findall(r"`((?:lr_edit|eval|reports|studies|tests)/[\w./-]*)`", page.read_text())
    missing = [one for one in paths if not one.startswith(made) and not (ROOT / one).exists()]
    assert not missing


@each_page
def test_every_command_that_a_page_names_is_there(page: Path) -> None:
    from lr_edit.cli.main import cli

    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join("".join(hit) for hit in re.findall(
        r"```bash\n(.*?)```|(?<!`)`([^`\n]+)`", page.read_text(), re.DOTALL))  # fmt: skip
    for words in re.findall(r"(?:^|/)lr-edit (?:--\w+ \S+ )?([a-z][a-z-]*)", code, re.MULTILINE):
        assert words in cli.commands, f"lr-edit {words}"
    for words in re.findall(r"^make ([a-z ]+?)(?=$|\s+[A-Z#])", code, re.MULTILINE):
        assert set(words.split()) <= targets, f"make {words}"


def test_the_departures_are_those_of_the_code() -> None:
    noted = sum(path.read_text().count("Departure: ") for path in (ROOT / "lr_edit").rglob("*.py"))
    assert noted == len(list(departures())) > 10


def test_every_table_and_every_metric_of_the_reports_is_listed() -> None:
    assert "`make repro` makes `reports/tables.md`:\n\n- Variants\n" in tables_list()
    assert "`make study STUDY=sweep` makes `reports/sweep/tables.md`:" in tables_list()
    assert all(f"| `{key}` |" in measures_list() for key in ("success", "iou", "nfe", "score_s"))


def test_every_profile_and_every_data_set_has_its_row() -> None:
    rows = "".join(re.findall(r"^\| (`[^|]*`) \|", models_table(), re.MULTILINE))
    assert load_config().profiles.keys() - {"picturebook"} <= set(re.findall(r"`([\w-]+)`", rows))
    sets = (ROOT / "docs/evaluation.md").read_text()
    rows = "".join(re.findall(r"^\| (`.*?) \|", sets, re.MULTILINE))
    assert ADAPTERS.keys() <= set(re.findall(r"`([\w-]+)`", rows))


# What the program says


@cache
def sentences() -> frozenset[str]:
    """Every text of the packages, with `…` for what is filled in."""
    found = set()
    for package in ("lr_edit", "eval"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.add(_as_text(node))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return frozenset(found)


def _as_text(node: ast.JoinedStr) -> str:
    parts = (one.value if isinstance(one, ast.Constant) else "…" for one in node.values)
    return re.sub("…+", "…", "".join(map(str, parts)))


def entries() -> list[str]:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    return [hit.strip() for hit in re.findall(r"^``(.+?)``\n:", page, re.MULTILINE)]


@pytest.mark.parametrize("entry", entries(), ids=lambda text: text[:30])
def test_the_program_says_what_troubleshooting_quotes(entry: str) -> None:
    assert any(entry.removesuffix("…") in said or _fits(entry, said) for said in sentences())


def _fits(entry: str, said: str) -> bool:
    """Whether what is filled in begins the sentence, as in `…: …`."""
    return said.removeprefix("…") in entry and len(said) > 20


# What the pages show


def snippets(title: str, language: str) -> Iterator[str]:
    """The code of a section of the page, 30 lines at most each."""
    page = (ROOT / "docs/extend.md").read_text()
    section = page[page.index(f"\n## {title}\n") :].split("\n## ")[1]
    for code in re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL):
        assert len(code.splitlines()) <= 32
        yield code


def laid(code: str) -> Config:
    """params.yaml with a snippet laid over it, as `lr-edit study` does."""
    params, own = (yaml.safe_load(text) for text in ((ROOT / "params.yaml").read_text(), code))
    profiles = lay_profiles(params["profiles"], own.pop("profiles", {}))
    return as_config(apply_overlay(params, own, where="page") | {"profiles": profiles},
                     path=Path("page"))  # fmt: skip


def test_the_variant_of_the_page_learns_and_chooses() -> None:
    config = laid(*snippets("A variant", "yaml"))
    assert list(config.variants) == ["learned", "gentle", "gentle-by-loss"]
    assert all(config.title_of(name) != name for name in config.variants)
    models = Models(FakeAnchors(), FakeClip(), FakeInpainter())
    source = torch.randint(256, (3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    task = EditTask("one", Path("one.png"), "a red boat", "a blue fish")
    how = config.proposals["dino"]
    bank, _ = make_bank(models, task, source=source, config=config, how=how)
    row = config.variants["gentle"].model_copy(update={"steps": 5})
    (net,) = learn_sizes(["one"], [bank], variant=row, side=64, seed=0)
    sizes = pick_sizes("net", bank, probabilities=net.probabilities.numpy())
    assert choose(bank, sizes, rank=row.rank).point < how.propose.points
    lowest = config.variants["gentle-by-loss"]
    sizes = pick_sizes("table", bank, weights=lowest.losses)
    found = choose(bank, sizes, rank="loss", weights=lowest.losses)
    assert found == best_of_bank(bank, rank="loss", weights=lowest.losses)


def test_the_baselines_of_the_page_are_rows() -> None:
    config = laid(*snippets("A baseline", "yaml"))
    assert config.profiles["sd2"].model("segmenter").name == "facebook/sam2.1-hiera-tiny"
    models = Models(FakeAnchors(), FakeClip(), FakeInpainter())
    source = torch.randint(256, (3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    task = EditTask("one", Path("one.png"), "a red boat", "a blue fish")
    both: dict[str, Any] = {"source": source, "config": config}
    banks = {}
    for name, segmenter in (("owl", None), ("outline", FakeSegmenter())):
        how = config.proposals[config.variants[name].proposals]
        detector = FakeDetector((20, 20, 40, 44), (4, 40, 30, 60))
        banks[name], _ = detected_bank(
            models, task, detector=detector, segmenter=segmenter, how=how, **both
        )
    how = config.proposals["instructed"]
    banks["instructed"], _ = instructed_bank(models, task, how=how, **both)
    assert {name: len(bank.boxes) for name, bank in banks.items()} == {
        "owl": 2, "outline": 1, "instructed": 1,
    }  # fmt: skip
    assert best_of_bank(banks["owl"], rank=config.variants["owl"].rank).point == 0


def test_the_metric_of_the_page_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.metrics.suite.SUITE", dict(SUITE))
    (code,) = snippets("A metric", "python")
    exec(code, made := {"__name__": "page"})
    before = np.zeros((8, 8, 3), np.uint8)
    after, mask = before.copy(), np.zeros((8, 8), bool)
    after[..., 0], mask[:4] = 51, True
    pair = Pair(before, after, mask)
    monkeypatch.setattr("eval.metrics.suite.SUITE", made["SUITE"])
    how: dict[str, Any] = {"networks": {}, "protocol": "strict"}
    assert measure(pair, ["colour_shift"], **how)["colour_shift"] == pytest.approx(0.2)
    empty = Pair(before, after, np.ones((8, 8), bool))
    assert np.isnan(measure(empty, ["colour_shift"], **how)["colour_shift"])


def test_the_profile_of_the_page_is_one() -> None:
    config = laid(*snippets("A model", "yaml"))
    assert config.models.inpainter.folder == "weights/my-inpainter"
    assert config.race.budget == 400 and load_config().profile == "picturebook"


def test_the_inpainter_of_the_page_makes_candidates() -> None:
    (code,) = snippets("A model", "python")
    exec(code, made := {"__name__": "page"})
    inpainter = made["Smear"]()  # type: ignore[operator]
    assert isinstance(inpainter, Inpainter)
    source = torch.zeros(3, 64, 64, dtype=torch.uint8)
    source[0] = 200
    source[:, 16:32, 16:32] = 90
    images, nfe = inpaint_candidates(
        inpainter, source, prompt="", boxes=torch.tensor([[[16, 16, 32, 32]]]), seed=0, feather=0,
        batch=4, sampler=Sampler(steps=1, guidance=1.0, guided=0.0),
    )  # fmt: skip
    assert nfe == 1 and (images[0, 0, 0] == 200).all() and not images[0, 0, 1].any()
