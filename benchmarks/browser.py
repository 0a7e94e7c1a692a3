"""A headless Chromium that is told what to do: Chrome's own protocol over two pipes.

    with open_browser(folder) as page:
        page.go("http://127.0.0.1:7860")
        page.wait("document.querySelector('button')")

https://chromedevtools.github.io/devtools-protocol
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lr_edit.errors import UserError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--remote-debugging-pipe",
)  # fmt: skip
# It reads from descriptor 3 and writes to 4.
_ON_3_AND_4 = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for at, end in enumerate(ends, 3):
    os.dup2(end, at)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One page; `asked` holds the addresses that it asked for."""

    def __init__(self, write: IO[bytes], read: IO[bytes]) -> None:
        self._write, self._read, self._count, self._session = write, read, 0, ""
        self.asked: list[str] = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "DOM", "Runtime"):
            self._send(f"{domain}.enable")

    def go(self, address: str) -> None:
        """Open an address."""
        self._send("Page.navigate", url=address)

    def resize(self, width: int, height: int) -> None:
        """The window's size, in pixels."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=width < 600)  # fmt: skip

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript, which may be a promise."""
        done = self._send("Runtime.evaluate", expression=script, returnByValue=True,
                          awaitPromise=True)  # fmt: skip
        if "exceptionDetails" in done:
            raise RuntimeError(f"{script}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def wait(self, script: str, *, patience: float = 30.0) -> None:
        """Until an expression is true. TimeoutError where it never is."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.run(f"Boolean({script})"):
                return
            time.sleep(0.05)
        raise TimeoutError(f"{script} was never true; the page says: {self.text()[:2000]}")

    def text(self) -> str:
        """All that stands on the page."""
        return str(self.run("document.body ? document.body.innerText : ''"))

    def fill(self, selector: str, words: str) -> None:
        """Type into a field."""
        self.run(
            f"(() => {{const one = document.querySelector({json.dumps(selector)});"
            "const kind = Object.getPrototypeOf(one);"
            f"Object.getOwnPropertyDescriptor(kind, 'value').set.call(one, {json.dumps(words)});"
            "one.dispatchEvent(new Event('input', {bubbles: true}));"
            "one.dispatchEvent(new Event('change', {bubbles: true}))})()"
        )

    def click(self, selector: str) -> None:
        """Click what a selector finds first."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def upload(self, selector: str, file: Path) -> None:
        """Choose a file for an input."""
        root = self._send("DOM.getDocument")["root"]["nodeId"]
        node = self._send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._send("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve())])

    def download(self, selector: str, folder: Path) -> None:
        """Click what a selector finds first, and let the file come to a folder."""
        self._send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.click(selector)

    def take_picture(self, path: Path) -> None:
        """A screenshot of the window, as PNG."""
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        while True:
            answer = self._receive()
            if answer.get("method") == "Network.requestWillBeSent":
                self.asked.append(answer["params"]["request"]["url"])
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        parts = bytearray()
        while (byte := self._read.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser is gone")
            parts += byte
        found: dict[str, Any] = json.loads(parts)
        return found


@contextmanager
def open_browser(folder: Path, *, size: tuple[int, int] = (1440, 1000)) -> Iterator[Page]:
    """A page of a browser of its own, which keeps its things in `folder`. UserError without
    chromium."""
    if CHROMIUM is None:
        raise UserError("a page is looked at with chromium, which is not installed")
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-Sc", _ON_3_AND_4, str(theirs_in), str(theirs_out), CHROMIUM, *QUIET,
         f"--user-data-dir={folder}"],
        pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        with os.fdopen(ours_out, "wb") as write, os.fdopen(ours_in, "rb", 1 << 20) as read:
            page = Page(write, read)
            page.resize(*size)
            yield page
    finally:
        child.terminate()
        child.wait(timeout=20)
