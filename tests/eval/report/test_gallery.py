"""The static page: every edit is there, prompts are data, nothing comes from a network."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from eval.report.edits import read_rows
from eval.report.pages import in_order, text_pages
from lr_edit.workspace.storage import read_json, study_tasks
from tests.eval.artifact_tree import small_config
from tests.eval.report.conftest import EVIL

CONFIG = small_config()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def root(finished: Path) -> Path:
    return finished


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "reports/index.html").read_text(encoding="utf-8")


def test_every_edit_of_every_variant_is_on_the_page(root: Path, page: str) -> None:
    cards = re.findall(r'<figure data-variant="([^"]+)" data-outcome="([^"]+)"', page)
    tasks = study_tasks(root)
    assert len(cards) == len(tasks) * len(CONFIG.variants)
    assert {name for name, _ in cards} == set(CONFIG.variants)
    assert [f'id="{task.id}"' in page for task in tasks] == [True] * len(tasks)


def test_pictures_come_before_tables_and_captions_are_short(page: str) -> None:
    assert page.index('class="task"') < page.index("<table>") < page.index('class="chart"')
    assert ">red boat → blue fish</a>" in page


def test_a_prompt_is_text_and_no_markup(page: str) -> None:
    assert EVIL not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &#34;a boat&#34;" in page
    assert page.count("<script>") == 1


def test_nothing_is_fetched_from_elsewhere(root: Path, page: str) -> None:
    assert not re.search(r"(src|href)=\"(https?:)?//", page) and "://" not in page
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
            if tag not in ("meta", "img", "br", "input"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Balance().feed(page)
    assert opened == []


def browse(page: str, profile: Path) -> str:
    """The document after its script has run."""
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update"]  # fmt: skip
    done = subprocess.run(
        [str(CHROMIUM), *quiet, f"--user-data-dir={profile}", "--dump-dom", page],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def shown(document: str) -> list[str]:
    """Tasks that are not hidden."""
    tasks = re.findall(r'<article class="task" id="([^"]+)"([^>]*)>', document)
    return [name for name, how in tasks if "hidden" not in how]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
def test_a_browser_filters_the_tasks(root: Path, tmp_path: Path) -> None:
    """All of them, until a filter (here from a shared link) says otherwise."""
    page = (root / "reports/index.html").as_uri()
    ids = [task.id for task in study_tasks(root)]
    first = browse(page, tmp_path)
    assert f"{len(ids)} of {len(ids)} tasks" in first and shown(first) == ids
    judged = [shown(browse(f"{page}#variant=untrained&outcome={word}", tmp_path))
              for word in ("yes", "no")]  # fmt: skip
    assert judged[1] and sorted([*judged[0], *judged[1]]) == ids
    found = browse(f"{page}#words=eval-003&boxes=hide", tmp_path)
    assert shown(found) == ["eval-003"] and 'class="plain no-boxes"' in found


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
def test_what_a_prompt_says_is_neither_run_nor_fetched(root: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    class Listen(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listen) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        evil = f"<script>fetch('http://127.0.0.1:{server.server_port}/a')</script>"
        evil += (
            f"<img src='http://127.0.0.1:{server.server_port}/b' onerror=document.title='owned'>"
        )
        first, *others = read_rows(root / "reports", variants=list(CONFIG.variants))
        rows = [replace(first, task=replace(first.task, prompt=evil)), *others]
        results = in_order(read_json(root / "reports/results.json"), CONFIG)
        index = tmp_path / "index.html"
        index.write_text(text_pages(results, CONFIG, rows=rows)["index.html"])
        document = browse(index.as_uri(), tmp_path)
        server.shutdown()
    assert "&lt;script&gt;fetch(" in document and "<title>owned" not in document
    assert asked == []
