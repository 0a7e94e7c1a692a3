"""A vision-language judge behind a real HTTP server that answers well, badly, slowly, or not."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.external.judges import RULES, Endpoint, Unreachable, parse_answer
from eval.external.judges import ask as asking
from eval.external.judges.answers import parse_lines
from lr_edit.errors import UserError
from tests.eval.picture_folder import picture, pictures, run

Captured = pytest.CaptureFixture[str]
Reaction = Callable[[int, dict[str, Any]], tuple[int, dict[str, str], bytes]]


def good(scores: str = "[8, 9]") -> bytes:
    text = f'{{"reasoning": "well done", "score": {scores}}}'
    said = {"model": "served-7b@abc", "choices": [{"message": {"content": text}}]}
    return json.dumps(said).encode()


class Server:
    """Counts what it is asked and answers as `react` says."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.heads: list[dict[str, str]] = []
        self.open = self.most_open = 0
        self.react: Reaction = lambda n, body: (200, {}, good())
        lock, server = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    server.asked.append(body)
                    server.heads.append(dict(self.headers))
                    number = len(server.asked)
                    server.open += 1
                    server.most_open = max(server.most_open, server.open)
                code, head, answer = server.react(number, body)
                with lock:
                    server.open -= 1
                self.send_response(code)
                for key, value in {**head, "Content-Length": str(len(answer))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(asking, "_pause", lambda attempt, asked: 0.0)
    found = Server()
    yield found
    found.close()


def judge(home: Path, server: Server, *words: str | Path) -> int:
    options = ["--metrics", "whole_mse", "--judge-url", server.url, "--judge-model", "vlm"]
    edits = ["--edits", str(home / "edits")]
    return run("evaluate", "--dataset", f"csv:{home}", *edits, *options, "--json", *words)


def test_a_judges_scores_stand_in_the_table(home: Path, server: Server, capsys: Captured) -> None:
    pictures(home)
    scores = {"sc": "[4, 9]", "pq": "[9, 10]"}  # by the question: whether the source is shown

    def react(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        content = body["messages"][0]["content"]
        both = sum(part["type"] == "image_url" for part in content) == 2
        return 200, {}, good(scores["sc" if both else "pq"])

    server.react = react
    assert judge(home, server, "--judge-passes", "2") == 0
    summary = json.loads(capsys.readouterr().out)
    cells = summary["variants"]["edits"]
    assert cells["judge_sc"]["mean"] == 4 and cells["judge_pq"]["mean"] == 9
    assert cells["judge_o"]["mean"] == pytest.approx(6) and cells["judge_o"]["n"] == 3
    told = summary["judge"]["edits"]
    assert (told["model"], told["served"], told["passes"]) == ("vlm", ["served-7b@abc"], 2)
    assert told["answers"] == 12 == len(server.asked) and not told["missing"]
    assert told["prompts"] == RULES["gedit"].digest
    assert told["spread_over_passes"]["judge_o"] == 0
    assert {body["seed"] for body in server.asked} == {0, 1}
    assert any("a dog" in b["messages"][0]["content"][-1]["text"] for b in server.asked)
    assert summary["aggregates"]["edits"]["all"]["judge_o"] == pytest.approx(6)


def test_answers_are_asked_for_once(home: Path, server: Server, capsys: Captured) -> None:
    pictures(home)
    assert judge(home, server) == 0
    first = capsys.readouterr().out
    assert judge(home, server) == 0 and len(server.asked) == 6
    assert capsys.readouterr().out == first
    assert judge(home, server, "--judge-passes", "2") == 0 and len(server.asked) == 12
    assert judge(home, server, "--judge-rule", "editscore") == 0 and len(server.asked) == 18


def test_an_answer_that_cannot_be_read_is_missing_and_counted(
    home: Path, server: Server, capsys: Captured
) -> None:
    pictures(home)
    bad = [good("[99, 1]"), good("[1]"), good('["a", 2]'), good("null"), good("[1, 2, 3]")]
    refusal = json.dumps({"model": "m", "choices": [{"message": {"content": None}}]}).encode()
    server.react = lambda n, body: (200, {}, [*bad, refusal][n - 1])
    assert judge(home, server, "--judge-workers", "1") == 0
    streams = capsys.readouterr()
    summary = json.loads(streams.out)
    assert summary["variants"]["edits"]["judge_o"]["mean"] is None
    assert summary["variants"]["edits"]["judge_o"]["missing"] == 3
    assert sum(summary["judge"]["edits"]["missing"].values()) == 6
    assert "6 of the judge's 6 answers could not be read" in streams.err


def test_a_busy_server_is_waited_for(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(home)
    codes: Counter[int] = Counter()

    def react(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        code = {1: 429, 2: 500, 3: 503}.get(number, 200)
        codes[code] += 1
        if number == 4:
            return 200, {}, b"<html>no JSON</html>"
        return code, {"Retry-After": "0"}, good() if code == 200 else b"busy"

    server.react = react
    assert judge(home, server, "--judge-workers", "1") == 0
    assert codes == {429: 1, 500: 1, 503: 1, 200: 7}


def test_a_silent_server_costs_no_finished_answer(
    home: Path, server: Server, capsys: Captured
) -> None:
    pictures(home)
    server.react = lambda n, body: (200, {}, good()) if n <= 4 else (503, {}, b"")
    assert judge(home, server, "--judge-workers", "1") == 1
    streams = capsys.readouterr()
    assert "what was judged is kept" in streams.err and "Traceback" not in streams.err
    server.react = lambda n, body: (200, {}, good())
    before = len(server.asked)
    assert judge(home, server) == 0 and len(server.asked) == before + 2


def test_a_slow_server_is_given_up_in_time(server: Server) -> None:
    def react(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.5)
        return 200, {}, good()

    server.react = react
    endpoint = Endpoint(server.url, "vlm", timeout=0.05)
    with pytest.raises(Unreachable, match="timed out"):
        endpoint([picture(1)], "how good is it?", seed=0)


def test_questions_wait_side_by_side(home: Path, server: Server) -> None:
    pictures(home, count=6)

    def react(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.05)
        return 200, {}, good()

    server.react = react
    assert judge(home, server, "--judge-workers", "4") == 0
    assert 2 <= server.most_open <= 4


def test_a_refusal_of_the_server_is_the_users_to_mend_and_shows_no_key(
    home: Path, server: Server, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(home)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.react = lambda n, body: (401, {}, b'{"error": "no such key"}')
    assert judge(home, server) == 2
    streams = capsys.readouterr()
    assert "401" in streams.err and "secret" not in streams.err + streams.out
    assert server.heads[0]["Authorization"] == "Bearer sk-secret"
    for path in (home / "evaluation").glob("*.*"):
        assert "sk-secret" not in path.read_text()


@pytest.mark.parametrize("url", ["localhost:8000", "file:///x", "http://me:word@host/v1"])
def test_an_address_is_a_servers_and_holds_no_password(url: str) -> None:
    with pytest.raises(UserError, match=r"--judge-url") as error:
        Endpoint(url, "vlm")
    assert "word@" not in str(error.value)


def test_imgedit_is_answered_in_lines(home: Path, server: Server, capsys: Captured) -> None:
    pictures(home)
    said = {"model": "m", "choices": [{"message": {"content": "Fit: 4\nB: 5\nC: 3"}}]}
    server.react = lambda n, body: (200, {}, json.dumps(said).encode())
    assert judge(home, server, "--judge-rule", "imgedit") == 0
    cell = json.loads(capsys.readouterr().out)["variants"]["edits"]["judge_mean"]
    assert cell["mean"] == 4 and cell["n"] == 3
    assert parse_lines("A: 9\nB: 1\nC: 1", count=3, low=1, high=5).scores is None


@given(st.text())
def test_no_text_is_a_score_unless_it_is_an_answer(text: str) -> None:
    answer = parse_answer(text, count=2, low=0, high=10)
    assert answer.scores is None or all(0 <= one <= 10 for one in answer.scores)


@given(st.lists(st.floats(0, 10), min_size=2, max_size=2), st.text())
def test_an_answer_is_read_from_among_other_words(scores: list[float], words: str) -> None:
    inner = json.dumps({"reasoning": words, "score": scores})
    got = parse_answer(f"```json\n{inner}\n```", count=2, low=0, high=10).scores
    assert got == tuple(scores)


def test_o_is_the_geometric_mean_of_the_lower_scores() -> None:
    value = RULES["gedit"].combine({"sc": [4.0, 9.0], "pq": [10.0, 9.0]})
    assert value == {"judge_sc": 4, "judge_pq": 9, "judge_o": math.sqrt(36)}
