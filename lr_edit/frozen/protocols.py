"""The contract of the three frozen models: what whoever brings a new one has to hold.

Of all three:

- Images enter as float RGB (N, 3, H, W) in [0, 1], on any device. A model moves them to its own
  device and normalises for itself; `images.check_images` raises ValueError for what is no such
  image.
- Results are float and without gradient: the inpainter's on the CPU, the others' on the model's
  device, from where the method fetches them.
- Models are frozen: in evaluation mode, no parameter learns, no state outlives a call beside `nfe`
  and `max_batch`.
- Calls are deterministic: equal arguments give equal results, whatever was called before. Results
  for an image may differ in the last bits with its companions in a batch, and in nothing else.
- Loaders raise `UserError` for weights that are missing, unreadable or unfit; a wrong argument of a
  method is a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # annotations only: importing the package stays light
    from jaxtyping import Bool, Float
    from torch import Tensor

    from lr_edit.types import Sampler


@runtime_checkable
class AnchorModel(Protocol):
    """Where salient things are (the paper: DINO ViT-B/8). Its grid covers the image: row 0 is the
    top, column 0 the left, one cell for each patch.

    patch  height and width of a cell, in pixels
    """

    patch: tuple[int, int]

    def attention(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n rows cols"]:
        """The class token's last-layer attention to each patch.

        Args:
            images: Sides must be multiples of the model's patch, in pixels; nothing is resized.

        Returns:
            At least 0, higher is more salient, mean over heads. Need not sum to 1: the class token
            attends to itself as well.

        Raises:
            ValueError: A side is no multiple of the patch.
        """
        ...

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c rows cols"]:
        """Patch features of the last layer on the same grid, of any scale: AnchorNet's input.

        Raises:
            ValueError: A side is no multiple of the patch.
        """
        ...


@runtime_checkable
class ClipModel(Protocol):
    """What images and words have in common (the paper: CLIP ViT-B/16). It resizes images of any
    size to its own, middle square, as its checkpoint was trained."""

    def embed_images(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Embeddings of images, of length 1, in the space of `embed_texts`."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Embeddings of texts, of length 1, as they stand: templates are the caller's. A text that
        is longer than the model's context is cut."""
        ...

    def cut_text(self, text: str) -> str:
        """What of a text lies beyond the model's context and is not read; empty if all is."""
        ...

    def tokens(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n t c"]:
        """Patch tokens of the image tower's last layer, after its final norm, without the class
        token; t and c are the model's own."""
        ...


@runtime_checkable
class Inpainter(Protocol):
    """Fills masks by a prompt (the paper: Stable Diffusion).

    nfe        UNet evaluations so far, per image: a batch of n under guidance counts 2n, and a
               transformer's evaluations count as a UNet's. It only grows; callers take differences.
    max_batch  None, or how many images fit into memory at once; the method sets it when
               `torch.OutOfMemoryError` leaves `inpaint`, which must be safe to call again.
    watch      None, or what is told `nfe` at every evaluation: how progress is shown.
    """

    nfe: int
    max_batch: int | None
    watch: Callable[[int], None] | None

    def noise(self, side: int, seed: int) -> Float[Tensor, "1 channels rows cols"]:
        """Starting noise of a square image of `side` pixels, in the shape of the latents: standard
        normal, on the CPU, from `seed` alone."""
        ...

    def nfe_per_image(self, sampler: Sampler) -> int:
        """What `inpaint` adds to `nfe` for each image, known before it runs."""
        ...

    def inpaint(
        self,
        image: Float[Tensor, "1 3 h w"],
        prompt: str,
        *,
        masks: Bool[Tensor, "n 1 h w"],
        noise: Float[Tensor, "#n channels rows cols"],
        sampler: Sampler,
    ) -> Float[Tensor, "n 3 h w"]:
        """The image with each mask filled.

        Args:
            image: The source; its sides are multiples of an eighth of the model's own.
            prompt: What the masks are filled with; one for all.
            masks: True where the image may change.
            noise: The start of each result, or one that all share; `noise` makes it, and of an
                image that is no square it is the part that lies there.
            sampler: Steps, guidance and the like, to be followed exactly.

        Returns:
            In [0, 1], on the CPU. Pixels outside of a mask may differ from the source by the
            autoencoder's error: the method pastes the box back.

        Raises:
            UserError: The model cannot do what `sampler` says.
            torch.OutOfMemoryError: n images do not fit; the caller halves the batch.
        """
        ...

    def predict(
        self,
        image: Float[Tensor, "1 3 side side"],
        prompt: str,
        *,
        noise: Float[Tensor, "n channels rows cols"],
        strength: float,
    ) -> Float[Tensor, "n channels rows cols"]:
        """The noise prediction for the whole image under each noise: DiffEdit's mask needs it.

        Args:
            image: The source.
            prompt: The text condition, without guidance.
            noise: What the image's latents are mixed with.
            strength: How far on the way to noise alone, in [0, 1].

        Returns:
            On the CPU; adds n to `nfe`.

        Raises:
            UserError: The model has no noise prediction.
        """
        ...
