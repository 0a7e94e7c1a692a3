"""CLIP over open_clip: images and texts in, unit embeddings and patch tokens out.

The paper's three losses and its ranking score are functions of these (sections 3.3 and 3.4).
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

import open_clip
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from lr_edit.errors import UserError
from lr_edit.frozen.images import check_images
from lr_edit.frozen.weights import check_numbers, folder_of, loading


class Clip:
    """A frozen CLIP that prepares images as its own checkpoint asks; images lie in [0, 1]."""

    def __init__(
        self, model: open_clip.CLIP, tokenizer: Callable[[list[str]], Tensor], *,
        device: str | torch.device = "cpu",
    ) -> None:  # fmt: skip
        self.model = model.eval().requires_grad_(False).to(device)
        self._tokenizer = tokenizer
        self.device = torch.device(device)
        config = open_clip.get_model_preprocess_cfg(model)
        if config.get("resize_mode", "shortest") != "shortest":
            raise ValueError(f"resize mode {config['resize_mode']!r} is not supported")
        size = config["size"]
        self._side = size if isinstance(size, int) else size[0]
        self._how = InterpolationMode(config.get("interpolation", "bicubic"))
        self._mean = torch.tensor(config["mean"], device=device).view(3, 1, 1)
        self._std = torch.tensor(config["std"], device=device).view(3, 1, 1)

    def prepare(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 side side"]:
        """Short side to the model's, middle square, the model's mean and deviation."""
        x = check_images(images.to(self.device))
        if x.shape[2:] != (self._side, self._side):
            x = resize(x, [self._side], interpolation=self._how, antialias=True).clamp(0, 1)
            x = center_crop(x, [self._side, self._side])
        return (x - self._mean) / self._std

    @torch.no_grad()
    def embed_images(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Unit embeddings of images."""
        return F.normalize(self.model.encode_image(self.prepare(images)), dim=-1)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit embeddings of texts, as they stand: templates are the caller's."""
        ids = self._tokenizer(list(texts)).to(self.device)
        return F.normalize(self.model.encode_text(ids), dim=-1)

    def cut_text(self, text: str) -> str:
        """The end of a text that lies beyond the model's context: with or without it, the model
        reads the same."""
        whole = self._tokenizer([text])
        # The shortest beginning that reads as the whole does.
        kept = bisect.bisect_left(
            range(len(text)), 1, key=lambda n: int(torch.equal(self._tokenizer([text[:n]]), whole))
        )
        return text[kept:].strip()

    @torch.no_grad()
    def tokens(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n t c"]:
        """Patch tokens of the image tower's last layer, after its final norm."""
        out = self.model.visual.forward_intermediates(
            self.prepare(images), indices=1, normalize_intermediates=True,
            intermediates_only=True, output_fmt="NLC",
        )  # fmt: skip
        return out["image_intermediates"][0]


def load_clip(
    name: str, pretrained: str | None = None, *, device: str | torch.device = "cpu"
) -> Clip:
    """A CLIP through open_clip's own loader.

    Args:
        name: A model of open_clip, as "ViT-B-16-quickgelu", or `local-dir:FOLDER`.
        pretrained: The tag of its weights, as "openai"; None for a folder. Without a tag open_clip
            would build a model of random weights, which is refused.
        device: Where it computes, in float32.

    Raises:
        UserError: No tag, weights that are missing or unreadable, or another activation than the
            weights were trained with.
    """
    if folder_of(name) is None and pretrained is None:
        raise UserError(f"CLIP {name!r} needs the tag of its weights, as in 'openai'")
    if pretrained:
        _same_activation(name, pretrained)
    with loading(name, needs=("open_clip_config.json", "open_clip_model.safetensors")):
        model, _, _ = open_clip.create_model_and_transforms(name, pretrained=pretrained)
        check_numbers(name, model)
        return Clip(model, open_clip.get_tokenizer(name), device=device)


def _same_activation(name: str, pretrained: str) -> None:
    """UserError where a model's activation is not its weights': open_clip warns, and goes on."""
    trained = bool((open_clip.get_pretrained_cfg(name, pretrained) or {}).get("quick_gelu"))
    if trained != bool((open_clip.get_model_config(name) or {}).get("quick_gelu")):
        other = f"{name}-quickgelu" if trained else name.removesuffix("-quickgelu")
        raise UserError(
            f"CLIP {name!r} has not the activation that its weights {pretrained!r} were trained "
            f"with: name {other!r}"
        )


def known_clips(name: str) -> tuple[list[str], list[str]]:
    """The models that open_clip knows, and the tags of the weights that it has of one."""
    return open_clip.list_models(), open_clip.list_pretrained_tags_by_model(name)
