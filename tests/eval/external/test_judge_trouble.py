"""Servers that send elsewhere, break off, repeat the key or contradict themselves."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from eval.external.judges import Endpoint, Unreachable, parse_answer
from eval.external.judges.answers import parse_lines
from lr_edit.errors import UserError
from tests.eval.external.test_judges import Server, good, judge, server
from tests.eval.picture_folder import picture, pictures

__all__ = ["server"]
Captured = pytest.CaptureFixture[str]


def ask(url: str, *, key: str = "") -> object:
    endpoint = Endpoint(url, "vlm", key=key, wait=lambda _: None, timeout=5)
    return endpoint([picture(1)], "how good is it?", seed=0)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_nobody_else_is_sent_the_key(server: Server, code: int) -> None:
    other = Server()
    server.react = lambda n, body: (code, {"Location": f"{other.url}/chat/completions"}, b"")
    with pytest.raises(UserError, match=f"answered {code} .*sends on to .*127.0.0.1"):
        ask(server.url, key="sk-secret")
    assert not other.asked
    other.close()


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_a_refusal_that_repeats_the_key_is_shown_without_it(server: Server, code: int) -> None:
    server.react = lambda n, body: (code, {}, b'{"error": "no such key: Bearer sk-secret"}')
    with pytest.raises(UserError, match=r"no such key: Bearer \*\*\*") as said:
        ask(server.url, key="sk-secret")
    assert "secret" not in str(said.value)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", b"nonsense\r\n\r\n", b"",
     b"HTTP/1.1 abc OK\r\n\r\n"],
)  # fmt: skip
def test_a_server_that_breaks_off_is_waited_for(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        asked = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(2**20))
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(Unreachable, match=r"of no use .*what was judged is kept, run again"):
            ask(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        assert len(asked) > 1
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("body", [b"<html>404</html>", b"", b"[" * 100_000, b"{}", b"[]", b"7"])
def test_an_answer_that_is_none_of_a_chat_is_said(server: Server, body: bytes) -> None:
    server.react = lambda n, _: (200, {}, body)
    with pytest.raises(UserError, match=r"is no chat server: .* no chat completion \(its address"):
        ask(server.url)
    assert len(server.asked) == 2  # once may be an accident


def test_one_that_has_answered_before_is_waited_for(server: Server) -> None:
    endpoint = Endpoint(server.url, "vlm", wait=lambda _: None, timeout=5)
    endpoint([picture(1)], "how good is it?", seed=0)
    server.react = lambda n, _: (200, {}, b"<html>back soon</html>")
    with pytest.raises(Unreachable, match=r"no chat completion .*what was judged is kept"):
        endpoint([picture(1)], "how good is it?", seed=1)


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ('<think>{"score": [1, 1]}</think>{"reasoning": "good", "score": [8, 9]}', (8, 9)),
        ('I draft {"score": [1, 1]}</think>\n{"score": [8, 9]}', (8, 9)),
        ('{"score": [8, 9]} {"score": [8, 9]}', (8, 9)),
        ('{"score": [8, 9]} {"score": [2, 2]}', None),
        ('{"score": [8, 9], "score": [1, 1]}', None),
        ('{"score": [8, 9], "score": [8, 9]}', None),
        ('{"draft": {"score": [1, 1]}, "score": [8, 9]}', (8, 9)),
    ],
)
def test_a_draft_is_no_answer_and_two_answers_are_none(
    text: str, scores: tuple[float, ...] | None
) -> None:
    assert parse_answer(text, count=2, low=0, high=10).scores == scores


def test_a_draft_in_lines_is_no_answer() -> None:
    text = "<think>A: 1\nB: 1\nC: 1</think>A: 3\nB: 4\nC: 5"
    assert parse_lines(text, count=3, low=1, high=5).scores == (3, 4, 5)


def test_a_contradiction_is_missing_in_the_table(
    home: Path, server: Server, capsys: Captured
) -> None:
    pictures(home)
    content = '{"score": [8, 9]} no: {"score": [2, 2]}'
    said = json.dumps({"model": "m", "choices": [{"message": {"content": content}}]}).encode()
    server.react = lambda n, body: (200, {}, said if n == 1 else good())
    assert judge(home, server, "--judge-workers", "1") == 0
    streams = capsys.readouterr()
    cell = json.loads(streams.out)["variants"]["edits"]["judge_o"]
    assert cell["missing"] == 1 and cell["n"] == 2
