"""Words that lie beyond CLIP's context are never read: who hands them over is told."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from lr_edit.errors import Notice
from lr_edit.frozen.protocols import ClipModel

SAFE = 60  # bytes: a token holds one at least, so that no model's context is shorter


def may_be_cut(words: str) -> bool:
    """Whether a text is long enough to lie beyond a context; cheap, no model is asked."""
    return len(words.encode(errors="replace")) > SAFE


def say_what_is_cut(clip: ClipModel, texts: Mapping[str, str]) -> None:
    """A `Notice` where CLIP does not read a text to its end.

    Args:
        clip: What will read them.
        texts: What each is called, "the prompt", -> its words, in their template.
    """
    cut = {
        name: end
        for name, words in texts.items()
        if may_be_cut(words) and (end := clip.cut_text(words))
    }
    if cut:
        name, end = next(iter(cut.items()))
        more = f", and {len(cut) - 1} more texts" if cut.keys() - {name} else ""
        warnings.warn(
            f"{name} is longer than the models read: they never see {end!r}{more}", Notice, 3
        )
