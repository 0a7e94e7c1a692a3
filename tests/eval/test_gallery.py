"""The static page: every edit is there, prompts are data, nothing comes from a network."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from eval.evaluate import evaluate
from eval.report import write_report
from lr_edit.storage import study_tasks, write_tasks
from tests.eval.artifact_tree import make_tree, small_config

CONFIG = small_config()
EVIL = '<script>alert("x")</script> & "a boat"'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    make_tree(folder, CONFIG)
    tasks = study_tasks(folder)
    tasks[0] = replace(tasks[0], prompt=EVIL)
    write_tasks(folder / "artifacts/tasks/tasks.json", tasks)
    for name in CONFIG.variants:
        evaluate(folder, CONFIG, name=name)
    write_report(folder, CONFIG)
    return folder


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "reports/index.html").read_text(encoding="utf-8")


def test_every_edit_of_every_variant_has_a_card(root: Path, page: str) -> None:
    cards = re.findall(r'data-variant="([^"]+)" data-category="([^"]+)"', page)
    tasks = study_tasks(root)
    assert len(cards) == len(tasks) * len(CONFIG.variants)
    assert {name for name, _ in cards} == set(CONFIG.variants)


def test_a_prompt_is_text_and_no_markup(page: str) -> None:
    assert EVIL not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &#34;a boat&#34;" in page
    assert page.count("<script>") == 1


def test_nothing_is_fetched_from_elsewhere(root: Path, page: str) -> None:
    assert not re.search(r"(src|href)=\"(https?:)?//", page) and "http" not in page
    for name in set(re.findall(r"url\('([^']+)'\)|url\(&#39;([^&]+)&#39;\)", page)):
        assert (root / "reports" / "".join(name)).is_file()
    for name in re.findall(r'src="([^"]+)"', page):
        assert (root / "reports" / name).is_file()


def test_a_strip_holds_the_source_and_every_edit(root: Path) -> None:
    task = study_tasks(root)[0]
    with Image.open(root / f"reports/gallery/{task.id}.webp") as strip:
        assert strip.width == strip.height * (1 + len(CONFIG.variants))


def test_tags_are_balanced(page: str) -> None:
    opened: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list) -> None:
            if tag not in ("meta", "img", "br"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Balance().feed(page)
    assert opened == []


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
def test_a_browser_filters_the_cards(root: Path, tmp_path: Path) -> None:
    """The script runs: the first variant alone is shown, and the prompt is still text."""
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update"]  # fmt: skip
    page = (root / "reports/index.html").as_uri()
    done = subprocess.run(
        [str(CHROMIUM), *quiet, f"--user-data-dir={tmp_path}", "--dump-dom", page],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    tasks = len(study_tasks(root))
    assert f"{tasks} of {tasks * len(CONFIG.variants)} edits" in done.stdout
    assert done.stdout.count('hidden=""') == tasks * (len(CONFIG.variants) - 1)
