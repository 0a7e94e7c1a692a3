"""A self-supervised ViT, or its stand-in, over timm: images in, attention, tokens and keys out.

The paper takes its anchors from the last layer's [CLS] self-attention of DINO (section 3.1).
"""

from __future__ import annotations

import timm
import torch
from jaxtyping import Float
from timm.models.vision_transformer import Attention, VisionTransformer
from torch import Tensor

from lr_edit.frozen.images import check_images
from lr_edit.frozen.weights import check_numbers, loading


class Dino:
    """A frozen timm VisionTransformer with one class token; images are float RGB in [0, 1].

    Nothing is resized: sides must be multiples of the patch (256 px in patches of 8: 32x32 tokens).
    """

    def __init__(self, model: VisionTransformer, *, device: str | torch.device = "cpu") -> None:
        if getattr(model, "num_prefix_tokens", None) != 1:
            raise ValueError(
                f"{type(model).__name__} is no ViT with a class token and no registers"
            )
        self.model = model.eval().requires_grad_(False).to(device)
        self.device = torch.device(device)
        self.patch: tuple[int, int] = tuple(model.patch_embed.patch_size)
        config = model.pretrained_cfg
        self._mean = torch.tensor(config["mean"], device=device).view(3, 1, 1)
        self._std = torch.tensor(config["std"], device=device).view(3, 1, 1)

    def attention(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n rows cols"]:
        """The class token's last-layer softmax attention to each patch, mean over heads."""
        entering, _ = self._run(images)
        weights = class_attention(self.model.blocks[-1].attn, entering)
        return weights.mean(1).unflatten(1, self._grid(images))

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c rows cols"]:
        """Patch tokens of the last layer, after the final norm."""
        _, tokens = self._run(images)
        return tokens[:, 1:].unflatten(1, self._grid(images)).movedim(3, 1)

    def keys(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n tokens c"]:
        """Keys of the last block, heads side by side, class token first (Tumanyan et al. 2022)."""
        entering, _ = self._run(images)
        return self.model.blocks[-1].attn.qkv(entering).chunk(3, dim=-1)[1]

    def _grid(self, images: Tensor) -> tuple[int, int]:
        return images.shape[2] // self.patch[0], images.shape[3] // self.patch[1]

    @torch.no_grad()
    def _run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the last block's attention, and the tokens that leave the model."""
        if images.shape[2] % self.patch[0] or images.shape[3] % self.patch[1]:
            raise ValueError(
                f"sides {tuple(images.shape[2:])} are no multiples of the patch {self.patch}"
            )
        x = (check_images(images).to(self.device) - self._mean) / self._std
        caught: list[Tensor] = []
        hook = self.model.blocks[-1].attn.register_forward_pre_hook(
            lambda _, inputs: caught.append(inputs[0])
        )
        try:
            tokens = self.model.forward_features(x)
        finally:
            hook.remove()
        return caught[0], tokens


def class_attention(
    attn: Attention, entering: Float[Tensor, "n tokens c"]
) -> Float[Tensor, "n heads patches"]:
    """Softmax attention of the class token to the patches, from queries and keys (never fused)."""
    qkv = attn.qkv(entering).unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    q, k = attn.q_norm(qkv[0]), attn.k_norm(qkv[1])  # (N, heads, tokens, c)
    return (q[:, :, :1] @ k.mT * attn.scale).softmax(-1)[:, :, 0, 1:]


def load_dino(name: str, *, device: str | torch.device = "cpu") -> Dino:
    """A vision transformer through timm's own loader.

    Args:
        name: A model of timm, as "vit_base_patch8_224.dino", or `local-dir:FOLDER`.
        device: Where it computes, in float32.

    Raises:
        UserError: Weights are missing or unreadable.
        ValueError: The model has no class token, or registers beside it.
    """
    with loading(name, needs=("config.json", "model.safetensors")):
        model = timm.create_model(name, pretrained=True, num_classes=0, dynamic_img_size=True)
        check_numbers(name, model)
        return Dino(model, device=device)


def known_vits() -> list[str]:
    """The models that timm knows, alone and with the tags of their weights."""
    return [*timm.list_models(), *timm.list_pretrained()]
