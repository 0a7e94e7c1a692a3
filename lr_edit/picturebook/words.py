"""The word-level tokeniser of the picture book: captions in, rows of token ids out.

One folder serves open_clip (through `local-dir:`) and diffusers (as the pipeline's `tokenizer`).
The end-of-text token has the highest id: open_clip reads a text's embedding off that token.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from unicodedata import category

from jaxtyping import Int64
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from lr_edit.picturebook.world import COLOURS, GROUNDS, KINDS

LENGTH = 24  # tokens a text, start and end included; longer texts are cut
PAD, START, UNKNOWN, END = "<pad>", "<start>", "<unknown>", "<end>"
WORDS: tuple[str, ...] = ("a", "and", "nothing", "on", *KINDS, *COLOURS, *GROUNDS)
VOCABULARY: tuple[str, ...] = (PAD, START, UNKNOWN, *WORDS, END)


@lru_cache(maxsize=1)
def tokenizer() -> PreTrainedTokenizerFast:
    """The tokeniser; words it does not know become one unknown token each."""
    ids = {word: i for i, word in enumerate(VOCABULARY)}
    backend = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[^\w\s<>]"), " "),
            normalizers.Replace(Regex(r"\ban\b"), "a"),  # one article, one token
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=LENGTH,
        padding_side="right",
        truncation_side="right",
        pad_token=PAD,
        bos_token=START,
        unk_token=UNKNOWN,
        eos_token=END,
    )


def unknown_words(text: str) -> list[str]:
    """The words of a text that the models were never told, in its order; a text without any word
    is one, and so is a sign that is no punctuation.

    Example:
        >>> unknown_words("A zebra, beside an orange cup on the moon.")
        ['zebra', 'beside', 'the', 'moon']
    """
    normalise = tokenizer().backend_tokenizer.normalizer.normalize_str
    words = [word for each in text.split() for word in normalise(each).split() or _signs(each)]
    return [word for word in dict.fromkeys(words) if word not in WORDS] if words else [text]


def _signs(text: str) -> list[str]:
    """What is left of a text without words: itself, unless it is all punctuation."""
    return [] if all(category(sign)[0] == "P" for sign in text) else [text]


def encode(captions: list[str]) -> Int64[Tensor, "n length"]:
    """Token ids of captions, padded to `LENGTH`."""
    rows = tokenizer()(
        captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    )
    return rows.input_ids


def save(folder: Path) -> None:
    """Write the tokeniser's files into a folder."""
    tokenizer().save_pretrained(folder)


def load(folder: Path) -> PreTrainedTokenizerFast:
    """The tokeniser in a folder, as diffusers and open_clip will see it."""
    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
