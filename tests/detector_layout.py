"""Detectors and a segmenter of transformers, small, of random numbers, as the hub lays them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertTokenizerFast,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    Sam2Config,
    Sam2ImageProcessor,
    Sam2Model,
    Sam2Processor,
    SwinConfig,
    ViTImageProcessor,
)

from tests.hub_layout import tokenizer

_LETTERS = [chr(c) for c in range(33, 127)]
_TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
         "num_attention_heads": 2}  # fmt: skip


def write_owl2(folder: Path) -> None:
    """OWLv2: a patch is a query, and says how much of a thing it is."""
    torch.manual_seed(0)
    tokens = tokenizer(folder / "tokens")
    tokens.model_max_length = 16
    ends = {"bos_token_id": tokens.bos_token_id, "eos_token_id": tokens.eos_token_id}
    text = {**_TEXT, "vocab_size": len(tokens), "max_position_embeddings": 16, **ends}
    vision = {**_TEXT, "image_size": 64, "patch_size": 16}
    config = Owlv2Config(text_config=text, vision_config=vision, projection_dim=16)
    pictures = Owlv2ImageProcessor(size={"height": 64, "width": 64})
    _write(folder, Owlv2ForObjectDetection(config), Owlv2Processor(pictures, tokens))


def write_grounding_dino(
    folder: Path, *, config: Any = GroundingDinoConfig, model: Any = GroundingDinoForObjectDetection
) -> None:
    """GroundingDINO: Swin sees, BERT reads, and both meet in a deformable DETR."""
    torch.manual_seed(0)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_LETTERS, *(f"##{c}" for c in _LETTERS)]
    tokens = BertTokenizerFast(
        vocab={name: i for i, name in enumerate(names)}, model_max_length=256
    )
    swin = SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_indices=[2, 3, 4], out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    sizes = config(
        backbone_config=swin,
        text_config={"model_type": "bert", "vocab_size": len(tokens), **_TEXT},
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=12,
    )  # fmt: skip
    pictures = GroundingDinoImageProcessor(size={"shortest_edge": 160, "longest_edge": 192})
    _write(folder, model(sizes), GroundingDinoProcessor(pictures, tokens))


def write_mm_grounding_dino(folder: Path) -> None:
    """The same as MMDetection trained it anew."""
    write_grounding_dino(
        folder, config=MMGroundingDinoConfig, model=MMGroundingDinoForObjectDetection
    )


def write_clipseg(folder: Path) -> None:
    """CLIPSeg: a heat map of the words."""
    torch.manual_seed(0)
    tokens = tokenizer(folder / "tokens")
    text = {**_TEXT, "vocab_size": len(tokens), "max_position_embeddings": 77,
            "eos_token_id": tokens.eos_token_id}  # fmt: skip
    vision = {**_TEXT, "num_hidden_layers": 2, "image_size": 64, "patch_size": 16}
    config = CLIPSegConfig(
        text_config=text, vision_config=vision, projection_dim=16, reduce_dim=16,
        extract_layers=(0, 1), conditional_layer=0, decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )  # fmt: skip
    pictures = ViTImageProcessor(size={"height": 64, "width": 64})
    _write(folder, CLIPSegForImageSegmentation(config), CLIPSegProcessor(pictures, tokens))


def write_sam2(folder: Path) -> None:
    """SAM 2: a Hiera of four stages, prompts, and masks."""
    torch.manual_seed(0)
    hiera = {"model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [64, 64],
             "num_attention_heads": 1, "blocks_per_stage": [1, 1, 2, 1],
             "embed_dim_per_stage": [8, 16, 32, 64], "num_attention_heads_per_stage": [1, 1, 2, 2],
             "window_size_per_stage": [2, 2, 2, 2], "global_attention_blocks": [3],
             "window_positional_embedding_background_size": [2, 2]}  # fmt: skip
    vision = {"backbone_config": hiera, "fpn_hidden_size": 16,
              "backbone_channel_list": [64, 32, 16, 8], "num_feature_levels": 3,
              "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}  # fmt: skip
    config = Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1,
                             "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    )  # fmt: skip
    pictures = Sam2ImageProcessor(size={"height": 64, "width": 64},
                                  mask_size={"height": 16, "width": 16})  # fmt: skip
    _write(folder, Sam2Model(config), Sam2Processor(pictures))


def _write(folder: Path, model: Any, processor: Any) -> None:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def write_owl(folder: Path) -> None:
    """OWL-ViT, as the picture book builds its own."""
    from lr_edit.picturebook import detector

    detector.export(detector.build(), folder)


DETECTORS: dict[str, Callable[[Path], None]] = {
    "owl": write_owl, "owl2": write_owl2, "grounding-dino": write_grounding_dino,
    "mm-grounding-dino": write_mm_grounding_dino, "clipseg": write_clipseg,
}  # fmt: skip
