"""The three frozen models as the method sees them. Images are float RGB (N, 3, H, W) in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # annotations only: importing the package stays light
    from jaxtyping import Bool, Float
    from torch import Tensor

    from lr_edit.types import Sampler


@runtime_checkable
class AnchorModel(Protocol):
    """Where to look (the paper: DINO)."""

    def attention(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n rows cols"]:
        """The class token's last-layer attention to each patch."""
        ...

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c rows cols"]:
        """Patch features on the same grid."""
        ...


@runtime_checkable
class ClipModel(Protocol):
    """What pictures and words have in common (the paper: CLIP ViT-B/16)."""

    def embed_images(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Unit embeddings of images."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit embeddings of texts."""
        ...

    def tokens(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n t c"]:
        """Last-layer patch tokens of the image tower."""
        ...


@runtime_checkable
class Inpainter(Protocol):
    """Who paints (the paper: Stable Diffusion)."""

    nfe: int  # UNet sample-evaluations so far
    max_batch: int | None  # boxes that fit into memory at once, once it ran out

    def noise(self, side: int, seed: int) -> Float[Tensor, "1 channels rows cols"]:
        """Starting noise for images of `side` pixels, from a seed alone."""
        ...

    def nfe_per_image(self, sampler: Sampler) -> int:
        """UNet evaluations of one picture."""
        ...

    def inpaint(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        masks: Bool[Tensor, "n 1 side side"],
        noise: Float[Tensor, "#n channels rows cols"],
        sampler: Sampler,
    ) -> Float[Tensor, "n 3 side side"]:
        """The image repainted under each mask, from its noise or one that all share."""
        ...

    def predict(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        noise: Float[Tensor, "n channels rows cols"],
        strength: float,
    ) -> Float[Tensor, "n channels rows cols"]:
        """What the model takes for noise in the whole image under each noise, at `strength`."""
        ...
