"""One regression test for every defect that was found in the paper's released code."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import timm
import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch import nn

from lr_edit.anchor_net import fresh_net, roi_features
from lr_edit.boxes import anchor_points, square_boxes
from lr_edit.choose import choose, pick_sizes
from lr_edit.config import load_config
from lr_edit.frozen.dino import Dino
from lr_edit.frozen.inpainter import Inpainter
from lr_edit.inpaint import inpaint_candidates
from lr_edit.learn import learn, learn_many, row_z_scores
from lr_edit.score import score_candidates
from lr_edit.stages import edit
from lr_edit.types import Bank, Choice, EditTask, Sampler
from lr_edit.workspace.storage import (
    read_choices,
    read_image,
    write_bank,
    write_image,
    write_tasks,
    write_tensors,
)
from tests.fakes import WIDTH, FakeAnchors, FakeClip, FakeInpainter, drawn

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
POINTS, SIZES, SIDE = 3, 2, 32
TASK = EditTask("a", Path("images/a.png"), source="a red boat", prompt="a blue fish on sand")


def picture(seed: int = 0) -> torch.Tensor:
    return (drawn(seed, 3, SIDE, SIDE).sigmoid() * 255).to(torch.uint8)


def small_boxes() -> torch.Tensor:
    anchors = anchor_points(FakeAnchors().attention(picture()[None] / 255)[0], points=POINTS)
    return square_boxes(anchors, grid=(8, 8), side=SIDE, sizes=(0.25, 0.5), cell=4)


def inpainted(inpainter: FakeInpainter, boxes: torch.Tensor, *, batch: int = 2) -> torch.Tensor:
    images, _ = inpaint_candidates(
        inpainter, picture(), prompt=TASK.prompt, boxes=boxes,
        sampler=Sampler(1, 1.0, 0.0), seed=1, feather=0, batch=batch,
    )  # fmt: skip
    return images


def bank(score: list[list[float]]) -> Bank:
    s = np.array(score, dtype=np.float64)
    none = np.zeros_like(s)
    return Bank(
        boxes=np.tile(np.array([0, 0, 4, 4]), (*s.shape, 1)),
        losses=np.stack([-s, none, none], axis=-1),
        cosines=np.stack([s / 2, none], axis=-1),
        anchors=np.zeros((len(s), 2), dtype=np.int64),
        attention=np.zeros((8, 8), dtype=np.float32),
        features=np.zeros((3, 8, 8), dtype=np.float32),
        relevance=np.zeros((8, 8), dtype=np.float32),
        nfe=6,
    )


def test_a_gradient_reaches_every_part_of_the_net() -> None:
    net = fresh_net(WIDTH, SIZES, generator=torch.Generator().manual_seed(0))
    table = row_z_scores(drawn(1, POINTS, SIZES))
    (net(drawn(0, POINTS, SIZES, WIDTH, 8, 8)).exp() * table).sum(-1).mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_training_changes_the_weights_and_the_projection_is_in_the_optimiser() -> None:
    rois, table = drawn(0, POINTS, SIZES, WIDTH, 8, 8), drawn(1, POINTS, SIZES)
    start = learn(rois, table, learner="none", seed=0).state
    trained = learn(rois, table, learner="exact", seed=0, steps=10).state
    assert {"project.weight", "project.bias"} <= trained.keys()
    assert all(not torch.equal(start[name], trained[name]) for name in start)


def test_every_iteration_is_an_optimiser_step() -> None:
    rois, table = drawn(0, POINTS, SIZES, WIDTH, 8, 8), drawn(1, POINTS, SIZES)
    curve = learn(rois, table, learner="exact", seed=0, steps=10).curve
    assert len({record.expected_loss for record in curve}) == 11


def test_rows_and_columns_are_not_transposed() -> None:
    attention = torch.zeros(32, 32)
    attention[8, 22] = 1.0
    anchors = anchor_points(attention, points=1)
    assert anchors.tolist() == [[8, 22]]
    boxes = square_boxes(anchors, grid=(32, 32), side=256, sizes=(0.25,), cell=8)
    left, top, right, bottom = boxes[0, 0].tolist()
    assert ((left + right) / 2, (top + bottom) / 2) == (180, 68)


def test_region_features_come_from_the_region_s_own_place() -> None:
    features = torch.zeros(1, 32, 32)
    features[0, 20:28, 24:32] = 1.0  # far from the top left corner
    boxes = torch.tensor([[[192, 160, 256, 224], [0, 0, 64, 64]]])
    rois = roi_features(features, boxes, side=256)
    assert rois[0, 0, 0, 2:-2, 2:-2].min() == 1
    assert rois[0, 1].max() == 0


def test_every_anchor_gets_its_own_feature_blocks() -> None:
    boxes, features = small_boxes(), drawn(0, 5, 8, 8)
    rois = roi_features(features, boxes, side=SIDE)
    for point in range(POINTS):
        for size in range(SIZES):
            alone = roi_features(features, boxes[point, size][None, None], side=SIDE)
            assert torch.equal(rois[point, size], alone[0, 0])
    net = fresh_net(5, SIZES, generator=torch.Generator().manual_seed(0))
    for point in range(POINTS):
        torch.testing.assert_close(net(rois)[point], net(rois[point][None])[0])


def test_the_border_rule_is_off_and_anchors_are_distinct() -> None:
    attention = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    assert CONFIG.propose.margin == 0
    assert len(anchor_points(attention, points=9).unique(dim=0)) == 9
    # What the release's rule does at its own setting: four anchors are always the centre.
    chosen = anchor_points(attention, points=9, margin=15.0)
    assert ((chosen >= 15) & (chosen <= 16)).all(-1).sum() == 4


def test_choosing_is_without_noise() -> None:
    some, pi = bank([[0.1, 0.2]] * POINTS), np.full((POINTS, SIZES), 0.5)
    picks = {tuple(pick_sizes("net", some, probabilities=pi).tolist()) for _ in range(200)}
    assert len(picks) == 1


def test_the_anchor_model_sees_normalised_pixels() -> None:
    vit = timm.create_model(
        "vit_tiny_patch16_224", num_classes=0, embed_dim=12, depth=1, num_heads=2, img_size=32
    )
    dino, seen = Dino(vit), []
    vit.patch_embed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    dino.features(torch.full((1, 3, 32, 32), 0.25))
    mean, deviation = (torch.tensor(vit.pretrained_cfg[key]) for key in ("mean", "std"))
    torch.testing.assert_close(seen[0][0, :, 0, 0], (0.25 - mean) / deviation)


def test_source_and_edit_enter_clip_in_the_same_range() -> None:
    source = picture()
    images = source.expand(POINTS, SIZES, -1, -1, -1)
    losses, cosines = score_candidates(
        FakeClip(), TASK, source=source, images=images, score=CONFIG.score
    )
    torch.testing.assert_close(cosines[..., 1], torch.ones(POINTS, SIZES))
    torch.testing.assert_close(losses[..., 2], torch.zeros(POINTS, SIZES), atol=1e-3, rtol=0)


def test_guidance_reaches_the_pipeline() -> None:
    vae = MagicMock(spec=nn.Module, encode=MagicMock())
    pipeline = MagicMock(_execution_device="cpu", scheduler=DDIMScheduler(), vae=vae)
    pipeline.unet.dtype = torch.float32
    pipeline.return_value.images = torch.zeros(1, 3, 8, 8)
    mask, sampler = torch.ones(1, 1, 8, 8, dtype=torch.bool), Sampler(7, 4.5, 1.0)
    Inpainter(pipeline).inpaint(
        torch.zeros(1, 3, 8, 8), "a fish",
        masks=mask, noise=torch.zeros(1, 4, 2, 2), sampler=sampler,
    )  # fmt: skip
    asked = pipeline.call_args.kwargs
    assert (asked["guidance_scale"], asked["num_inference_steps"]) == (4.5, 7)


def test_all_boxes_of_a_task_share_their_noise() -> None:
    inpainter = FakeInpainter()
    inpainted(inpainter, small_boxes(), batch=1)
    assert len(inpainter.noises) > 1
    assert all(torch.equal(noise, inpainter.noises[0]) for noise in inpainter.noises)


def test_nothing_outside_the_box_changes() -> None:
    class Smearing(FakeInpainter):
        def inpaint(self, image, prompt, **options):
            return 1 - super().inpaint(image, prompt, **options)

    boxes, source = small_boxes(), picture()
    images = inpainted(Smearing(), boxes)
    for point, size in np.ndindex(POINTS, SIZES):
        left, top, right, bottom = boxes[point, size].tolist()
        outside = torch.ones(SIDE, SIDE, dtype=torch.bool)
        outside[top:bottom, left:right] = False
        assert torch.equal(images[point, size][:, outside], source[:, outside])


def test_ranking_is_by_raw_cosines_of_all_anchors() -> None:
    some = bank([[0.0]] * 5)
    # Fifth by text alone, first by S: a shortlist of three by text would have dropped it.
    some.cosines[:, 0] = [[0.30, 0.50], [0.29, 0.50], [0.28, 0.50], [0.27, 0.50], [0.26, 0.90]]
    assert choose(some, np.zeros(5, dtype=np.int64)) == Choice(point=4, size=0)


def test_an_earlier_result_does_not_compete_on_a_second_run(tmp_path: Path) -> None:
    name = "argmin-table"
    place, proposals = tmp_path / "artifacts", CONFIG.variant(name).proposals
    write_tasks(tmp_path / "artifacts/tasks/tasks.json", [TASK])
    write_bank(place / f"tables/{proposals}/a.safetensors", bank([[0.1, 0.2], [0.4, 0.3]]))
    images = np.arange(4, dtype=np.uint8).reshape(2, 2, 1, 1, 1).repeat(3, axis=2)
    write_tensors(place / f"candidates/{proposals}/a.safetensors", {"images": images})
    out = tmp_path / "artifacts/edits" / name
    write_image(out / "final_output.png", np.full((1, 1, 3), 255, dtype=np.uint8))
    for _ in range(2):
        edit.run(tmp_path, CONFIG, name=name)
        assert read_choices(out / "choices.json") == {"a": [Choice(point=1, size=0)]}
        assert read_image(out / "a.png").tolist() == [[[2, 2, 2]]]
        assert sorted(path.name for path in out.iterdir()) == ["a.png", "choices.json"]


def test_an_image_with_transparency_is_read(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (10, 20, 30, 255)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == [10, 20, 30]).all()


def test_every_image_has_a_net_of_its_own() -> None:
    rois, tables = drawn(0, 2, POINTS, SIZES, WIDTH, 8, 8), drawn(1, 2, POINTS, SIZES)
    first, second = learn_many(rois, tables, learner="exact", seeds=[0, 1], steps=5)
    alone = learn(rois[1], tables[1], learner="exact", seed=1, steps=5)
    assert all(torch.equal(second.state[name], alone.state[name]) for name in alone.state)
    assert not torch.equal(first.state["mix.weight"], second.state["mix.weight"])


@pytest.mark.parametrize("scale", [255.0, -1.0])
def test_pictures_of_another_range_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="lie in"):
        FakeClip().embed_images(torch.full((1, 3, 8, 8), 0.5) * scale)
