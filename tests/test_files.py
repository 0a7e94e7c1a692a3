"""Text files: read in one way or refused in one sentence, written whole or not at all."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lr_edit.errors import Unfinished, UserError, shorten
from lr_edit.files import (
    atomic_write,
    empty_folder,
    is_plain_name,
    parse_yaml,
    read_csv,
    read_json,
    read_text,
    read_yaml,
    write_json,
    write_text,
)

HERE = Path("x.yaml")
HEAD = "image,prompt,source\n"


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table_is_read_with_its_line_numbers(tmp_path: Path) -> None:
    columns, rows = read_csv(table(tmp_path, HEAD + 'a.png,"a fish, red",x\n\nb.png,"a ""b""",\n'))
    assert columns == ["image", "prompt", "source"]
    assert rows == [
        (2, {"image": "a.png", "prompt": "a fish, red", "source": "x"}),
        (4, {"image": "b.png", "prompt": 'a "b"', "source": ""}),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_mark_at_the_start_is_no_part_of_a_table_or_of_json(tmp_path: Path, encoding) -> None:
    columns, _ = read_csv(table(tmp_path, HEAD, encoding))
    assert columns[0] == "image"
    (tmp_path / "a.json").write_bytes('{"ä": 1}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"ä": 1}


def test_an_unquoted_comma_is_refused_with_its_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 3: 4 cells for 3 columns: .*comma in 'prompt'"):
        read_csv(table(tmp_path, HEAD + "a.png,a fish,x\nb.png,a fish, red,x\n"))


def test_a_row_that_is_too_short_is_refused_with_the_column_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 2: 2 cells for 3 columns, none for 'source'"):
        read_csv(table(tmp_path, HEAD + "a.png,a fish\n"))


@pytest.mark.parametrize(
    "rows",
    [
        'a.png,"a fish,x\nb.png,a boat,x\n',
        'a.png,"a fish,x\nb.png,"a boat",x\n',
        'a.png,"a fish\nb.png,a boat",x\n',
        'a.png,"a fish"s,x\n',
    ],
)
def test_an_open_quote_is_refused_with_its_line(tmp_path: Path, rows: str) -> None:
    with pytest.raises(UserError, match=r"t\.csv, line 2"):
        read_csv(table(tmp_path, HEAD + rows))


def test_a_column_that_is_given_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column 'prompt' is given twice"):
        read_csv(table(tmp_path, "image,prompt,prompt\na,b,c\n"))
    with pytest.raises(UserError, match="is empty"):
        read_csv(table(tmp_path, ""))


def test_a_key_that_is_given_twice_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1,\n "b": {"prompt": "x",\n "prompt": "y"}}')
    with pytest.raises(UserError, match=r"a\.json, line 3: key 'prompt' is given twice"):
        read_json(path)
    with pytest.raises(UserError, match="key 'steps' is given twice, again in line 3"):
        parse_yaml("a:\n  steps: 1\n  steps: 2\n", HERE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a\n  b: *a\n", "what begins in line 1 holds an alias of itself"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
            "aliases make more than 1,000,000 values",
        ),
        (f"seed: 0x{'f' * 6000}\n", "a number of 6002 digits, in line 1"),
    ],
)
def test_what_no_memory_holds_and_no_sentence_prints_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_yaml(text, HERE)


def test_an_alias_may_be_used_many_times() -> None:
    assert parse_yaml("a: &a {b: 1}\nc: [*a, *a]\n", HERE)["c"] == [{"b": 1}, {"b": 1}]


def test_what_a_merge_brings_may_be_overridden() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, x: 4}\n"
    assert parse_yaml(text, HERE)["c"] == {"x": 4, "y": 2}
    assert parse_yaml("rate: 5e-3", HERE) == {"rate": 0.005}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: é".encode("latin-1"), "not UTF-8 .byte 0xe9 in line 1.: save it as UTF-8"),
        ("a: 1\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (b"a: [1", "not valid YAML, line 2"),
        (b"a: 2001-13-45", "not valid YAML"),
        (b"a: " + b"9" * 5000, "not valid YAML"),
        (b"a: \x00", "holds a zero byte"),
        (b"[" * 5000, "not valid YAML"),
        (b"? [a]\n: 1", "not valid YAML"),
        (b"- 1", "must hold a mapping"),
        (b"", "must hold a mapping"),
    ],
)
def test_a_broken_yaml_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        read_yaml(tmp_path / "x.yaml")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("content", [b"{", b"[NaN]", b"1" * 5000, b"[" * 10**5, b"\xff\xfe[\x00"])
def test_a_broken_json_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json is (not valid JSON|UTF-16)"):
        read_json(tmp_path / "x.json")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for path, said in {
        tmp_path / "gone": "is missing: check the name",
        tmp_path / "file/x": "is missing",
        tmp_path: "is no file",
        tmp_path / "pipe": "is no file",
        tmp_path / ("n" * 300): "cannot be read .file name too long",
        tmp_path / "a\0b": "is no file's name",
        tmp_path / "\ud800": "is no file's name",
        Path("/dev/zero"): "is no file",
    }.items():
        with pytest.raises(UserError, match=said):
            read_text(path)


@pytest.mark.parametrize("name", ["file/x", "a\0b", "\ud800", "n" * 300, "folder"])
def test_a_place_that_cannot_be_written_is_the_user_s_to_mend(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder/inside").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot be written|is no file's name"):
        write_text(tmp_path / name, "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_full_disk_is_the_machine_s(tmp_path: Path, number: int) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises(Unfinished, match="make room and run again"), atomic_write(tmp_path / "a"):
        raise OSError(number, os.strerror(number))
    assert read_text(tmp_path / "a") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_name_as_long_as_a_disk_takes_is_written(tmp_path: Path) -> None:
    for name in ("n" * 250 + ".json", "ä" * 125):
        write_json(tmp_path / name, 1)
        assert read_json(tmp_path / name) == 1


def test_an_emptied_folder_is_never_followed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/photo").touch()
    (tmp_path / "out").symlink_to(tmp_path / "mine")
    assert empty_folder(tmp_path / "out").is_dir()
    assert (tmp_path / "mine/photo").exists() and not (tmp_path / "out").is_symlink()


def test_texts_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "ä → 字\r\n\ud800")
    assert (tmp_path / "a").read_bytes() == "ä → 字\r\n?".encode()


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "a\\b", "a b", "a\n", "x" * 201])
def test_what_leads_elsewhere_is_no_plain_name(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["a", "structure-0.1", "字_ä", "x" * 200])
def test_a_plain_name_is_one(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "value", ["x" * 10**7, Path("a" * 900), ValueError("a\n\x1b[31mb"), [1] * 999]
)
def test_what_a_sentence_shows_is_short_and_steers_no_terminal(value: Any) -> None:
    start = time.process_time()
    text = shorten(value)
    assert len(text) <= 206 and text.isprintable() and time.process_time() - start < 0.1


@pytest.mark.parametrize(
    ("text", "value"),
    [("0200", 200), ("3:20", "3:20"), ("200", 200), ("-5", -5), ("5e-3", 0.005), (".5", 0.5),
     ("0x1F", 31), ("+3", 3), ("1_000", 1000), ("5.", 5.0), ("0", 0)],
)  # fmt: skip
def test_numbers_are_those_of_yaml_1_2_as_dvc_reads_them(text: str, value: object) -> None:
    found = parse_yaml(f"a: {text}", Path("x.yaml"))["a"]
    assert found == value and type(found) is type(value)
    assert YAML(typ="safe").load(f"a: {text}")["a"] == value  # DVC's reader
