"""reports/app.png: the page of `lr-edit app` after an edit, as a browser shows it, for the README.

    python -m benchmarks.app_picture

One of the page's own examples, edited by the bundled weights. Needs chromium.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.browser import Page, open_browser

PICTURE = Path("reports/app.png")
SIZE = (1280, 1480)
EXAMPLE = 3  # from 1: a green fish that becomes a pink flower


def edit_example(page: Page, address: str, *, number: int = EXAMPLE) -> None:
    """Open the page, take an example, and wait for its edit."""
    page.go(address)
    page.wait("document.querySelector('#examples img')")
    page.click(f"#examples [aria-label^='Thumbnail {number} ']")
    page.wait("document.querySelector('#source input, #source textarea').value")
    page.wait("document.querySelector('#photo img')?.complete")
    page.click("#edit")
    for name in ("slider", "candidates", "attention", "boxes"):
        page.wait(f"document.querySelector('#{name} img')?.naturalWidth", patience=120)
    page.run("new Promise(done => setTimeout(done, 1500))")  # what fades in has done so


def main() -> None:
    """Serve, edit, look."""
    command = [sys.executable, "-c", "from lr_edit.cli.main import main; main()", "app"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([*command, "--port", "7899"], stderr=subprocess.PIPE, text=True) as server,
    ):
        try:
            assert server.stderr is not None
            address = server.stderr.readline().split()[0]
            with open_browser(Path(folder), size=SIZE) as page:
                edit_example(page, address)
                page.take_picture(PICTURE)
        finally:
            server.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
