"""Embeddings -> three losses and two cosines per candidate. Paper, training and inference.

Pure functions of what the frozen CLIP gives: embeddings (n, dim) and last-layer tokens
(n, tokens, dim). Losses are lower-is-better, cosines higher-is-better. An argument with one row
stands for all n candidates.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

# A direction shorter than this share of its embedding is rounding, not an edit.
STILL = 1e-4


def clip_loss(
    edited: Float[Tensor, "n dim"], prompt: Float[Tensor, "#n dim"]
) -> Float[Tensor, " n"]:
    """L_Clip = 1 - cos(E_v(X_o), E_t(T)), in [0, 2], lower is better.

    Args:
        edited: Embeddings of the candidates, E_v(X_o).
        prompt: Embedding of the prompt, E_t(T): one, or one per candidate.

    Source: paper, section 3.3.

    Example:
        >>> clip_loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0]]))
        tensor([0., 1.])
    """
    return 1 - F.cosine_similarity(edited, prompt)


def directional_loss(
    edited: Float[Tensor, "n dim"],
    source_image: Float[Tensor, "#n dim"],
    *,
    prompt: Float[Tensor, "#n dim"],
    source_text: Float[Tensor, "#n dim"],
) -> Float[Tensor, " n"]:
    """L_Dir = 1 - cos(E_v(X_o) - E_v(X), E_t(T) - E_t(T_ROI)), in [0, 2], lower is better.

    An edit that changes nothing, or a prompt that says what the source words say, has no direction:
    its cosine is 0 and its loss 1.

    Args:
        edited: Embeddings of the candidates, E_v(X_o).
        source_image: Embedding of the source image, E_v(X).
        prompt: Embedding of the prompt, E_t(T).
        source_text: Embedding of the source words, E_t(T_ROI).

    Source: paper, section 3.3.

    Example:
        >>> here, there = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> edited = torch.cat([there, here])
        >>> directional_loss(edited, here, prompt=there, source_text=here).round(decimals=6)
        tensor([0., 1.])
    """
    image_change, text_change = edited - source_image, prompt - source_text
    cosine = F.cosine_similarity(image_change, text_change)
    still = _is_still(image_change, source_image) | _is_still(text_change, source_text)
    return 1 - cosine.masked_fill(still, 0.0)


def structure_loss(
    edited_tokens: Float[Tensor, "n tokens dim"], source_tokens: Float[Tensor, "#n tokens dim"]
) -> Float[Tensor, " n"]:
    """L_Str = ||Q(f_Xo) - Q(f_X)||_2, Q the self-similarity of CLIP's last tokens, in [0, 2].

    Departure: divided by the number of tokens, so that it is the root mean square difference of two
    cosine matrices and its weight means the same for every CLIP. The release takes the last layer
    but one and the mean square.

    Args:
        edited_tokens: Last-layer patch tokens of the candidates.
        source_tokens: Those of the source image.

    Source: paper, section 3.3.

    Example:
        >>> tokens = torch.eye(2)[None]
        >>> structure_loss(torch.cat([tokens, torch.ones(1, 2, 2)]), tokens).round(decimals=2)
        tensor([0.0000, 0.7100])
    """
    difference = _self_similarity(edited_tokens) - _self_similarity(source_tokens)
    return torch.linalg.matrix_norm(difference) / edited_tokens.shape[1]


def losses(
    edited: Float[Tensor, "n dim"],
    edited_tokens: Float[Tensor, "n tokens width"],
    *,
    source_image: Float[Tensor, "#n dim"],
    source_tokens: Float[Tensor, "#n tokens width"],
    prompt: Float[Tensor, "#n dim"],
    source_text: Float[Tensor, "#n dim"],
) -> Float[Tensor, "n 3"]:
    """(L_Clip, L_Dir, L_Str) of every candidate, unweighted, in the order of `Bank.losses`.

    Example:
        >>> here, there = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> losses(
        ...     there, torch.eye(2)[None], source_image=here, source_tokens=torch.eye(2)[None],
        ...     prompt=there, source_text=here,
        ... ).round(decimals=6)
        tensor([[0., 0., 0.]])
    """
    text = clip_loss(edited, prompt)
    direction = directional_loss(edited, source_image, prompt=prompt, source_text=source_text)
    return torch.stack([text, direction, structure_loss(edited_tokens, source_tokens)], dim=-1)


def cosines(
    edited: Float[Tensor, "n dim"],
    source_image: Float[Tensor, "#n dim"],
    *,
    prompt: Float[Tensor, "#n dim"],
) -> Float[Tensor, "n 2"]:
    """(S_t2i, S_i2i): prompt to edit, source image to edit, in [-1, 1], higher is better.

    Departure: raw cosines as in the paper; the release ranks softmaxed ones.

    Source: paper, section 3.4.

    Example:
        >>> here, there = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> cosines(there, here, prompt=there)
        tensor([[1., 0.]])
    """
    text = F.cosine_similarity(edited, prompt)
    return torch.stack([text, F.cosine_similarity(edited, source_image)], dim=-1)


def _is_still(
    direction: Float[Tensor, "#n dim"], origin: Float[Tensor, "#n dim"]
) -> Bool[Tensor, " #n"]:
    return direction.norm(dim=-1) <= STILL * origin.norm(dim=-1)


def _self_similarity(tokens: Float[Tensor, "n tokens dim"]) -> Float[Tensor, "n tokens tokens"]:
    """Cosines of every token with every token."""
    unit = F.normalize(tokens, dim=-1)
    return unit @ unit.mT
