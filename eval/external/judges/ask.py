"""One question to an OpenAI-compatible server: pictures and words out, an answer's text back.

A rate limit, an outage or a slow server is waited for; what stays silent is `Unreachable`, which
costs no answer that is finished. A refusal is an answer without text.
"""

from __future__ import annotations

import base64
import io
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Event
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lr_edit.errors import Unfinished, UserError, shorten

TRIES = 6
FIRST = 2  # answers of another kind, where no completion has come yet: the address is wrong
LONGEST_WAIT = 60.0  # seconds between two tries
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}


class Unreachable(Unfinished):
    """The judge does not answer; what was judged is kept, and running again goes on there."""


@dataclass(frozen=True)
class Reply:
    """What came back: the text, and the model that says it answered."""

    text: str
    model: str


@runtime_checkable
class Ask(Protocol):
    """A judge: pictures and words in, its words out. Same seed, same question: may be the same."""

    def __call__(
        self, pictures: list[UInt8[np.ndarray, "h w 3"]], text: str, /, *, seed: int
    ) -> Reply: ...


@dataclass(frozen=True)
class Endpoint:
    """A chat endpoint of any OpenAI-compatible server.

    url          up to and with `/v1`
    model        the name that the server knows; what it answers with is recorded
    key          sent as a bearer token, and in no output
    temperature  of the sampling; above 0 where several passes are to differ
    timeout      seconds that one answer may take
    wait         sleeps; a test's own
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    temperature: float = 0.7
    timeout: float = 120.0
    wait: Callable[[float], None] = time.sleep
    _answered: Event = field(default_factory=Event, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UserError("--judge-url is the address of a server, as http://localhost:8000/v1")
        if parts.username or parts.password:
            raise UserError("--judge-url holds a password: set OPENAI_API_KEY instead")

    def __call__(
        self, pictures: list[UInt8[np.ndarray, "h w 3"]], text: str, /, *, seed: int
    ) -> Reply:
        """One answer. Unreachable after `TRIES`, UserError for what no wait mends."""
        body = json.dumps(self._body(pictures, text, seed=seed)).encode()
        why, strange = "", 0
        for attempt in range(TRIES):
            try:
                reply = _read(self._send(body))
                self._answered.set()
                return reply
            except urllib.error.HTTPError as error:
                with error:
                    why = f"it answered {error.code}"
                    if error.code not in _AGAIN:
                        raise UserError(
                            f"the judge refuses to answer: {why}{self._said(error)}"
                        ) from None
                    asked = error.headers.get("Retry-After")
            except _NoCompletion as error:
                why, asked = str(error), None
                strange += 1
                if strange == FIRST and not self._answered.is_set():
                    raise UserError(f"--judge-url {self.url} is no chat server: {why}") from None
            except (OSError, HTTPException) as error:  # no connection, a timeout, half an answer
                said = str(getattr(error, "reason", error)) or type(error).__name__
                why, asked = f"it does not answer: {shorten(said.strip())}", None
            if attempt < TRIES - 1:
                self.wait(_pause(attempt, asked))
        raise Unreachable(f"the judge is of no use ({why}): what was judged is kept, run again")

    def _send(self, body: bytes) -> bytes:
        head = {"Content-Type": "application/json"}
        if self.key:
            head["Authorization"] = f"Bearer {self.key}"
        url = f"{self.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, body, head)
        with _ask(request, timeout=self.timeout) as answer:
            return bytes(answer.read())

    def _said(self, error: urllib.error.HTTPError) -> str:
        """What a refusal says, but for the key, which some repeat."""
        words = error.read(300).decode("utf-8", "replace").strip()
        if where := error.headers.get("Location"):
            words = f"it sends on to {shorten(where)}: name that address if you trust it"
        words = words.replace(self.key, "***") if self.key else words
        return f" ({words})" if words else ""

    def _body(
        self, pictures: list[UInt8[np.ndarray, "h w 3"]], text: str, *, seed: int
    ) -> dict[str, Any]:
        shown = [{"type": "image_url", "image_url": {"url": _as_url(one)}} for one in pictures]
        content = [*shown, {"type": "text", "text": text}]
        return {
            "model": self.model,
            "temperature": self.temperature,
            "seed": seed,
            "messages": [{"role": "user", "content": content}],
        }


class _NoCompletion(Exception):
    """An answer that is none of a chat endpoint."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Another address would be sent the key, and not the pictures."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the answer is an error."""


_ask = urllib.request.build_opener(_StayHere).open


def _read(body: bytes) -> Reply:
    """A refusal, or a choice without words, is an empty text. _NoCompletion for anything else."""
    try:
        found = json.loads(body)
        text = found["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        began = shorten(body[:60].decode("utf-8", "replace"))
        raise _NoCompletion(
            f"it answers with {began}, which is no chat completion (its address ends in /v1)"
        ) from None
    return Reply(text if isinstance(text, str) else "", str(found.get("model") or ""))


def _pause(attempt: int, asked: str | None) -> float:
    """What the server asks for, else twice as long each time, with some chance in it."""
    if asked and asked.isdigit():
        return min(float(asked), LONGEST_WAIT)
    return min(2.0**attempt * random.uniform(0.5, 1), LONGEST_WAIT)


def _as_url(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
