"""`lr-edit app` in a browser: the command itself, on small models of random weights."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from benchmarks.browser import CHROMIUM, Page, open_browser
from lr_edit.workspace.storage import read_image
from tests.source_tree import ROOT
from tests.tiny import run, write_root

browsed = pytest.mark.skipif(
    CHROMIUM is None or find_spec("gradio") is None, reason="no chromium, or no gradio"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Iterator[str]:
    """One server for all, which Ctrl-C ends."""
    root = write_root(tmp_path_factory.mktemp("root"), tiny_models)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, "-c", "from lr_edit.cli.main import main; main()", "--root", str(root),
         "app", "--port", port],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # A job of a shell's background ignores it, and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert server.stderr is not None
    with server.stderr as said:
        yield said.readline().split()[0]
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0 and "a defect of ours" not in said.read()


@pytest.fixture
def page(address: str, tmp_path: Path) -> Iterator[Page]:
    with open_browser(tmp_path / "browser") as page:
        show(page, address)
        yield page


def show(page: Page, address: str) -> None:
    page.go(address)
    page.wait("document.querySelector('#edit') && document.querySelector('#photo input')")


def ask(page: Page, photo: Path) -> None:
    """Fill in the page and click."""
    page.upload("#photo input[type=file]", photo)
    page.wait("document.querySelector('#photo img')")
    page.fill("#source input, #source textarea", "a red boat")
    page.fill("#prompt input, #prompt textarea", "a blue fish")
    page.click("#edit")


def wait_for(file: Path) -> None:
    end = time.monotonic() + 30
    while not file.is_file():
        assert time.monotonic() < end, f"{file.name} never came"
        time.sleep(0.05)


@browsed
def test_an_example_is_edited_and_all_of_it_is_shown_by_this_machine_alone(
    page: Page, address: str, tmp_path: Path
) -> None:
    page.wait("document.querySelector('#examples img')")
    page.click("#examples .thumbnail-item")
    page.wait("document.querySelector('#source input, #source textarea').value")
    page.wait("document.querySelector('#photo img')")
    page.click("#edit")
    page.wait("document.querySelectorAll('#candidates img').length >= 4")
    for name in ("slider", "attention", "boxes"):
        page.wait(f"document.querySelector('#{name} img')?.naturalWidth >= 512")
    page.wait("document.querySelector('#command').innerText.includes('--mode detected')")
    said = page.text()
    assert "edit data/images/eval-000.png" in said and "candidates, in the box" in said
    for name, file in (("picture", "eval-000.edit.png"), ("mask", "eval-000.mask.png")):
        page.download(f"#{name}", tmp_path)
        wait_for(tmp_path / file)
    edited, mask = (read_image(tmp_path / f"eval-000.{name}.png") for name in ("edit", "mask"))
    assert edited.shape == mask.shape and 0 < mask.mean() <= 255
    hosts = {url.split("/")[2] for url in page.asked if url.startswith("http")}
    assert hosts == {address.split("/")[2]}


@browsed
def test_an_upload_that_is_no_picture_is_one_sentence_and_the_next_is_edited(
    page: Page, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    ask(page, tmp_path / "broken.png")
    page.wait("document.body.innerText.includes('broken.png cannot be read')")
    assert "Traceback" not in page.text()


@browsed
@pytest.mark.long
def test_two_people_at_once_each_get_their_own(address: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        people = {}
        for name in ("one", "two"):
            page = stack.enter_context(open_browser(tmp_path / name))
            show(page, address)
            people[name] = page
        for name, page in people.items():
            Image.new("RGB", (64, 64), "#c02020").save(tmp_path / f"{name}.png")
            ask(page, tmp_path / f"{name}.png")
        for name, page in people.items():
            page.wait(f"document.querySelector('#command')?.innerText.includes('edit {name}.png')")


@pytest.mark.skipif(find_spec("gradio") is None, reason="no gradio")
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("place", ["secret.png", ".", "none.png"])
def test_a_file_of_the_server_is_no_upload(
    address: str, tmp_path: Path, named: bool, place: str
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "secret.png")
    file: dict[str, Any] = {"path": str(tmp_path / place)}
    if named:  # as Gradio's own page says it; else nothing of Gradio's looks at the path
        file |= {"meta": {"_type": "gradio.FileData"}}
    words = {"data": [file, "a red boat", "a blue fish", "enumerate", None, 0]}
    call = f"{address}/gradio_api/call/edit"
    kind = {"Content-Type": "application/json"}
    with urlopen(Request(call, json.dumps(words).encode(), kind), timeout=30) as answer:
        event = json.load(answer)["event_id"]
    with urlopen(f"{call}/{event}", timeout=30) as answer:
        said = answer.read().decode()
    assert "event: error" in said and "event: complete" not in said


@pytest.mark.skipif(find_spec("gradio") is None, reason="no gradio")
def test_a_name_of_somebody_else_s_leads_nowhere(address: str) -> None:
    """A page elsewhere may give its own name this address; its scripts could ask here then."""
    port = address.rsplit(":", 1)[1]
    for name, code in ((f"localhost:{port}", 200), ("evil.example", 400)):
        with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as line:
            line.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            assert line.recv(100).startswith(f"HTTP/1.1 {code}".encode())


def test_an_address_that_cannot_be_had_is_said_before_models_load(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("anchors", "scoring-clip", "inpainter"):  # empty: nothing could be loaded
        (root / "models/picturebook" / name).mkdir(parents=True)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(root, "app", "--port", port, "--host", "0.0.0.0") == 2
        said = capsys.readouterr().err.splitlines()
        assert "there is no password" in said[0] and "pass another --port" in said[1]
        assert run(root, "app", "--port", port) == 2
        assert "no password" not in capsys.readouterr().err
