"""The scoring CLIP on candidates: images and words in, losses and cosines out."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms import v2

from lr_edit.config import Score
from lr_edit.frozen import ClipModel
from lr_edit.losses import cosines, losses
from lr_edit.types import EditTask

WORST = 2.0  # what one minus a cosine is at most, and the distance of two cosines


def score_candidates(
    clip: ClipModel,
    task: EditTask,
    *,
    source: UInt8[Tensor, "3 side side"],
    images: UInt8[Tensor, "points sizes 3 side side"],
    score: Score,
    batch: int = 54,
) -> tuple[Float[Tensor, "points sizes 3"], Float[Tensor, "points sizes 2"]]:
    """Losses and cosines of every candidate, by the scoring CLIP.

    Args:
        clip: The scoring CLIP; another one evaluates.
        task: Its `prompt` is T, its `source` T_ROI.
        source: The source image, 0 to 255.
        images: The candidates, 0 to 255.
        score: Templates of the words, and how many augmented views are averaged.
        batch: Candidates embedded at once.

    Returns:
        Unweighted losses (clip, directional, structure) and cosines (S_t2i, S_i2i). A candidate
        that failed, a black picture of a source that is none, has no cosines (NaN), so that it is
        never ranked, and the highest losses that there are.

    Source: paper, sections 3.3 and 3.4; `losses` has the equations.
    """
    texts = [score.prompt.format(task.prompt), score.source.format(task.source)]
    prompt, source_text = clip.embed_texts(texts).split(1)
    plain = source[None].float() / 255
    source_image, source_tokens = _embed(clip, plain, score.views), clip.tokens(plain)
    all_losses, all_cosines = [], []
    for chunk in images.flatten(0, 1).split(batch):
        pictures = chunk.float() / 255
        edited = _embed(clip, pictures, score.views)
        all_losses.append(
            losses(
                edited, clip.tokens(pictures), source_image=source_image,
                source_tokens=source_tokens, prompt=prompt, source_text=source_text,
            )
        )  # fmt: skip
        all_cosines.append(cosines(edited, source_image, prompt=prompt))
    black = ~(images != 0).flatten(2).any(-1) & (source != 0).any()
    failed = black[..., None].to(prompt.device)
    shape = images.shape[:2]
    return (
        torch.cat(all_losses).unflatten(0, shape).masked_fill(failed, WORST),
        torch.cat(all_cosines).unflatten(0, shape).masked_fill(failed, torch.nan),
    )


def _embed(clip: ClipModel, images: Float[Tensor, "n 3 side side"], views: int) -> Tensor:
    """Embeddings of the plain images, or the mean over `views` augmented views of each.

    The views are one fixed set of crops and tilts, the same for every image: an edit is not better
    for a better crop.
    """
    if views == 0:
        return clip.embed_images(images)
    side = images.shape[-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        augment = v2.Compose(
            [v2.RandomResizedCrop(side, scale=(0.8, 1.0)), v2.RandomPerspective(0.2, p=0.8)]
        )
        mean = torch.stack([clip.embed_images(augment(images)) for _ in range(views)]).mean(0)
    return torch.nn.functional.normalize(mean, dim=-1)
