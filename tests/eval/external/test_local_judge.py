"""A vision-language model on this machine as a judge: the real classes, small random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from eval.external.judges import Ask
from eval.external.judges.local import load_local
from lr_edit.errors import UserError
from tests.eval.picture_folder import picture, pictures, run

MARKS = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
         "<|video_pad|>"]  # fmt: skip
TALK = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2.5-VL as the hub lays it out."""
    home = tmp_path_factory.mktemp("vlm")
    vocab = {letter: n for n, letter in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Qwen2Tokenizer(vocab, [], additional_special_tokens=MARKS)
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in MARKS}
    small = {"min_pixels": 28 * 28, "max_pixels": 4 * 28 * 28}
    Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**small), tokenizer, Qwen2VLVideoProcessor(), chat_template=TALK
    ).save_pretrained(home)
    words = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 32,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    }  # fmt: skip
    sees = {"depth": 1, "hidden_size": 32, "num_heads": 2, "intermediate_size": 32,
            "out_hidden_size": 32, "fullatt_block_indexes": [0]}  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config=words, vision_config=sees, image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"], vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"], eos_token_id=ids["<|im_end|>"],
        bos_token_id=None, pad_token_id=ids["<|im_end|>"],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Qwen2_5_VLForConditionalGeneration(config).save_pretrained(home)
    return home


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.external.judges.local.LONGEST", 8)


def test_an_answer_follows_from_pictures_words_and_seed(folder: Path) -> None:
    judge = load_local(f"local-dir:{folder}", temperature=1.0)
    assert isinstance(judge, Ask) and len(judge.digest) == 64
    one = judge([picture(1), picture(2)], "how good is it?", seed=0)
    assert one.text and one.model == f"local-dir:{folder}"
    assert judge([picture(1), picture(2)], "how good is it?", seed=0) == one
    assert judge([picture(1), picture(2)], "how good is it?", seed=1) != one
    sure = load_local(f"local-dir:{folder}", temperature=0)
    assert sure([picture(1)], "?", seed=0) == sure([picture(1)], "?", seed=1)


def test_it_judges_a_folder_and_its_weights_are_recorded(
    folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(home, count=2)
    words = ["--judge-model", f"local-dir:{folder}", "--metrics", "whole_mse", "--json"]
    assert run("evaluate", "--dataset", f"csv:{home}", "--edits", home / "edits", *words) == 0
    summary = json.loads(capsys.readouterr().out)
    told = summary["judge"]["edits"]
    digest = load_local(f"local-dir:{folder}", temperature=0).digest
    assert told["weights"] == digest and told["served"] == [f"local-dir:{folder}"]
    assert told["answers"] == 4 == sum(told["missing"].values())  # random weights say no JSON
    assert summary["variants"]["edits"]["judge_o"]["missing"] == 2


def test_what_is_no_such_model_is_said(folder: Path, tmp_path: Path) -> None:
    for name in (f"local-dir:{tmp_path}", "nobody/nothing"):
        with pytest.raises(UserError, match=name):
            load_local(name, temperature=0)
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(UserError, match="local-dir:FOLDER, or a server"):
        load_local(f"local-dir:{tmp_path}", temperature=0)
