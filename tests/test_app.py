"""The page of `lr-edit app` in a browser, and two people at once; the models are stand-ins."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("gradio")

from gradio_client import Client, handle_file

from benchmarks.browser import CHROMIUM, Page, open_browser
from lr_edit.app import build_page, launch
from lr_edit.config import load_config
from lr_edit.desk import Desk
from lr_edit.editor import Editor
from lr_edit.frozen.models import Models
from tests.fakes import FakeAnchors, FakeClip, FakeInpainter
from tests.tiny import run, tiny_params, write_data, write_params

browsed = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> Iterator[str]:
    root = tmp_path_factory.mktemp("root")
    write_params(root, tiny_params())
    write_data(root / "data")
    models = Models(FakeAnchors(), FakeClip(), FakeInpainter())
    editor = Editor(load_config(root / "params.yaml"), models, root=root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("shown")))
        desk = Desk(editor, folder=tmp_path_factory.mktemp("desk"), root=root)
        page = build_page(desk, say=said.append)
        _, served, _ = launch(page, host="127.0.0.1", port=free_port())
        yield served
        page.close(verbose=False)


@pytest.fixture
def page(address: str, tmp_path: Path) -> Iterator[Page]:
    with open_browser(tmp_path / "browser") as page:
        page.go(address)
        page.wait("document.querySelector('#edit')")
        yield page


@browsed
def test_an_example_is_edited_and_all_of_it_is_shown_from_this_machine_alone(
    page: Page, address: str, said: list[str]
) -> None:
    page.wait("document.querySelector('#examples img')")
    page.click("#examples .thumbnail-item")
    page.wait("document.querySelector('#source input, #source textarea').value")
    page.click("#edit")
    page.wait("document.querySelectorAll('#candidates img').length == 4")
    for name in ("slider", "attention", "boxes"):
        page.wait(f"document.querySelector('#{name} img')?.naturalWidth >= 512")
    page.wait("document.querySelector('#command').innerText.includes('lr-edit edit')")
    assert "--mode grounded" in page.text() and "The best of 4 candidates" in page.text()
    page.wait("document.querySelector('a#picture, #picture a, a[download]')")
    hosts = {url.split("/")[2] for url in page.asked if url.startswith("http")}
    assert hosts == {address.split("/")[2]} and said == []


@browsed
def test_an_upload_that_is_no_picture_is_one_sentence(page: Page, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.upload("#photo input[type=file]", tmp_path / "broken.png")
    page.wait("document.querySelector('#photo img')")
    page.fill("#source input, #source textarea", "a red boat")
    page.fill("#prompt input, #prompt textarea", "a blue fish")
    page.click("#edit")
    page.wait("document.body.innerText.includes('broken.png cannot be read')")
    assert "Traceback" not in page.text()


def test_two_people_at_once_each_get_their_own(address: str, tmp_path: Path) -> None:
    photos = []
    for name, colour in (("one", "#c02020"), ("two", "#2040c0")):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{name}.png")
        photos.append(handle_file(tmp_path / f"{name}.png"))
    people = [Client(address, verbose=False, download_files=str(tmp_path)) for _ in photos]
    jobs = [
        person.submit(photo, "a red boat", "a blue fish", "enumerate", None, 0, api_name="/edit")
        for person, photo in zip(people, photos, strict=True)
    ]
    for job, name in zip(jobs, ("one", "two"), strict=True):
        shown = job.result(timeout=30)
        assert any(f"edit {name}.png" in str(one) for one in shown)


def test_an_address_that_cannot_be_had_is_said_before_models_load(
    root: Path, tiny_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "models").mkdir()
    (root / "models/picturebook").symlink_to(tiny_models)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(root, "app", "--port", port, "--host", "0.0.0.0") == 2
    said = capsys.readouterr().err.splitlines()
    assert "there is no password" in said[0] and "pass another --port" in said[1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(root, "app", "--port", str(taken.getsockname()[1])) == 2
    assert "no password" not in capsys.readouterr().err


