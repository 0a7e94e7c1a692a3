"""Grounding finds the box that holds a whole thing, of which CLIP says that it is what is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lr_edit.baselines.occlusion import STEP, occlude_words, occlusion_scores, squares_on_grid
from lr_edit.config import load_config
from lr_edit.edge_boxes import CELL as PIXELS
from lr_edit.edge_boxes import GRID, EdgeMap, edge_boxes, every_rectangle, grow_boxes, suppress
from lr_edit.errors import UserError
from lr_edit.frozen.models import Models
from lr_edit.grounding import TRIED, ground_words, hide_boxes, show_alone
from lr_edit.method import make_bank
from lr_edit.types import EditTask
from lr_edit.workspace.storage import read_bank, read_tensors, write_bank, write_tensors
from tests.fakes import FakeAnchors, FakeInpainter, RedFinder

SIDE, CELL, SIZES = 64, 4, (0.3125, 0.4375, 0.5625, 0.6875)


def picture(left: int, top: int, extent: int, *, side: int = SIDE) -> Tensor:
    """(1, 3, side, side): grey, and a red square."""
    image = torch.full((1, 3, side, side), 0.4)
    image[0, :, top : top + extent, left : left + extent] = torch.tensor([0.9, 0.1, 0.1]).view(
        3, 1, 1
    )
    return image


def found(image: Tensor, clip: RedFinder, *, points: int = 5) -> Tensor:
    got = ground_words(clip, image, words="red", points=points, cell=CELL)
    assert got.views == clip.views and len(got.scores) == len(got.boxes) <= points
    return got.boxes


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 40), st.integers(4, 40))
def test_the_first_box_holds_the_thing_and_little_more(left: int, top: int) -> None:
    box = found(picture(left, top, 18), RedFinder())[0].tolist()
    assert box[0] <= left and box[1] <= top and box[2] >= left + 18 and box[3] >= top + 18
    assert box[2] - box[0] <= 18 + 4 * CELL and box[3] - box[1] <= 18 + 4 * CELL


def test_of_two_things_the_one_that_the_words_name_is_found() -> None:
    image = picture(4, 4, 20)
    image[0, :, 36:56, 36:56] = torch.tensor([0.1, 0.1, 0.9]).view(3, 1, 1)
    left, top, right, bottom = found(image, RedFinder())[0].tolist()
    assert left <= 4 and top <= 4 and 24 <= right <= 36 and 24 <= bottom <= 36


def test_a_large_picture_is_grounded_as_a_small_one_is() -> None:
    small, large = picture(16, 20, 20), picture(64, 80, 80, side=4 * SIDE)
    boxes = [
        ground_words(RedFinder(), image, words="red", points=3, cell=cell).boxes
        for image, cell in ((small, 4), (large, 16))
    ]
    assert torch.equal(4 * boxes[0], boxes[1])


@pytest.mark.parametrize("side", [48, 72, 224])
def test_sides_that_the_grid_does_not_divide_are_taken(side: int) -> None:
    got = ground_words(RedFinder(), picture(8, 8, 20, side=side), words="red", points=3, cell=8)
    assert bool((got.boxes >= 0).all()) and bool((got.boxes <= side).all())
    assert bool((got.boxes % 8 == 0).all())


def test_grounding_costs_less_than_half_of_every_square() -> None:
    clip = RedFinder()
    found(picture(20, 30, 18), clip)
    assert clip.views <= 2 * TRIED + 1 < 344 / 2


def test_boxes_lie_in_the_image_on_the_latent_grid_best_first_and_differ() -> None:
    got = ground_words(RedFinder(), picture(0, 44, 20), words="red", points=5, cell=CELL)
    assert bool((got.boxes >= 0).all()) and bool((got.boxes <= SIDE).all())
    assert bool((got.boxes % CELL == 0).all())
    assert got.scores.tolist() == sorted(got.scores.tolist(), reverse=True)
    assert len(set(map(tuple, got.boxes.tolist()))) == 5


def test_words_that_are_nowhere_have_no_drop() -> None:
    image = torch.full((1, 3, SIDE, SIDE), 0.4)
    got = ground_words(RedFinder(), image, words="red", points=1, cell=CELL)
    assert got.drop == pytest.approx(0.0, abs=1e-6) and len(got.boxes) == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 8), st.integers(2, 8), st.integers(3, 6), st.integers(3, 6))
def test_the_tight_rectangle_is_the_best_of_all(x: int, y: int, wide: int, high: int) -> None:
    image = torch.full((1, 3, SIDE, SIDE), 0.4)
    image[..., PIXELS * y : PIXELS * (y + high), PIXELS * x : PIXELS * (x + wide)] = 0.9
    boxes, scores = edge_boxes(EdgeMap(image), count=10)
    assert boxes[0].tolist() == [x, y, x + wide, y + high]
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_edges_are_counted_as_pixel_by_pixel() -> None:
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    across = np.clip(np.abs(np.diff(image[0].double(), axis=2)).max(0) - 0.05, 0, None)
    down = np.clip(np.abs(np.diff(image[0].double(), axis=1)).max(0) - 0.05, 0, None)
    rows = every_rectangle()[::997]
    edges = EdgeMap(image)
    for box, inside, crossed in zip(rows, edges.inside(rows), edges.crossed(rows), strict=True):
        left, top, right, bottom = (PIXELS * box).tolist()
        everything = sum(  # a step across the border counts as inside
            across[y, x - 1] for y in range(top, bottom) for x in range(max(left, 1), right + 1)
            if x < SIDE
        ) + sum(
            down[y - 1, x] for y in range(max(top, 1), bottom + 1) for x in range(left, right)
            if y < SIDE
        )  # fmt: skip
        assert float(inside) == pytest.approx(everything)
        met = 0.0
        for out in (0, 1):  # the ring inside, the ring outside
            x0, x1 = max(left - out, 0), min(right - 1 + out, SIDE - 1)
            y0, y1 = max(top - out, 0), min(bottom - 1 + out, SIDE - 1)
            met += across[y0, x0:x1].sum() * (top > 0) + across[y1, x0:x1].sum() * (bottom < SIDE)
            met += down[y0:y1, x0].sum() * (left > 0) + down[y0:y1, x1].sum() * (right < SIDE)
        assert float(crossed) == pytest.approx(met / 2)


def test_every_rectangle_of_the_grid_is_there_once() -> None:
    rows = list(map(tuple, every_rectangle().tolist()))
    assert len(rows) == len(set(rows)) == sum(GRID - extent + 1 for extent in range(2, 15)) ** 2


def test_a_box_grows_but_not_into_a_neighbour() -> None:
    image = picture(20, 20, 20)
    image[..., 20:40:2, 42:60] = 1.0  # whose every row is an edge
    box = torch.tensor([[5, 5, 10, 10]])
    assert grow_boxes(EdgeMap(image), box).tolist() == [[4, 4, 10, 11]]


def test_a_box_alone_stands_on_the_ground_next_to_it() -> None:
    image = picture(20, 20, 20)
    image[..., 50:60, 50:60] = 1.0
    shown = show_alone(image, torch.tensor([[16, 16, 44, 44], [0, 0, 48, 64]]))
    assert torch.equal(shown[0], picture(20, 20, 20)[0])
    assert torch.equal(shown[1, :, :, :48], image[0, :, :, :48])


def test_the_drops_scale_changes_nothing_for_squares() -> None:
    boxes = squares_on_grid(SIDE, sizes=SIZES, step=STEP)
    drops = torch.rand(len(boxes), generator=torch.Generator().manual_seed(0))
    small, large = (occlusion_scores(boxes, scale * drops, side=SIDE) for scale in (0.01, 1.0))
    assert torch.allclose(small, large, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(4, 40), st.integers(4, 40))
def test_the_first_square_holds_the_thing_at_half_the_price(left: int, top: int) -> None:
    clip = RedFinder()
    got = occlude_words(clip, picture(left, top, 18), words="red", sizes=SIZES, points=5, cell=CELL)
    box = got.boxes[0].tolist()
    assert box[0] <= left and box[1] <= top and box[2] >= left + 18 and box[3] >= top + 18
    assert clip.views == got.views <= (len(squares_on_grid(SIDE, sizes=SIZES, step=STEP)) + 1) / 2


def test_a_hidden_box_is_bridged_from_border_to_border() -> None:
    ramp = torch.linspace(0, 1, SIDE).expand(1, 3, SIDE, SIDE).clone()
    marked = ramp.clone()
    marked[..., 10:30, 20:40] = 0.0
    box = torch.tensor([[20, 10, 40, 30]])
    assert torch.allclose(hide_boxes(marked, box), ramp, atol=1e-6)


def test_a_hidden_box_on_the_frame_shows_nothing_of_what_it_hides() -> None:
    image = picture(0, 0, 20)
    hidden = hide_boxes(image, torch.tensor([[0, 0, 20, 20]]))
    assert torch.allclose(hidden, torch.full_like(hidden, 0.4), atol=1e-6)


def test_pixels_outside_of_the_box_stay() -> None:
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    hidden = hide_boxes(image, torch.tensor([[8, 12, 28, 32], [0, 0, 20, 20]]))
    assert torch.equal(hidden[:, :, 40:], image[:, :, 40:].expand(2, -1, -1, -1))


def test_of_boxes_that_are_nearly_one_the_better_stays() -> None:
    boxes = torch.tensor([[0, 0, 20, 20], [1, 0, 21, 20], [40, 40, 60, 60]])
    assert suppress(boxes, torch.tensor([0.1, 0.9, 0.5]), overlap=0.7, count=5) == [1, 2]
    assert suppress(boxes, torch.tensor([0.1, 0.9, 0.5]), overlap=0.7, count=1) == [1]


def test_a_grounded_set_is_ranked_by_what_the_words_lose(tmp_path: Path) -> None:
    config = load_config(Path("params.yaml"))
    models = Models(FakeAnchors(), RedFinder(), FakeInpainter())
    source = (picture(20, 30, 18)[0] * 255).to(torch.uint8)
    task = EditTask("a", Path("a.png"), "a red ball", "a blue ball on snow")
    bank, _ = make_bank(
        models, task, source=source, config=config, how=config.proposal_set("grounded")
    )
    assert bank.ground is not None and bank.ground.shape == bank.losses.shape[:2]
    assert bank.ground[:, 0].tolist() == sorted(bank.ground[:, 0].tolist(), reverse=True)
    assert np.allclose(bank.merit("ground-loss"), bank.ground + bank.merit("loss"))
    assert 0 < bank.views <= 172
    write_bank(tmp_path / "new.safetensors", bank)
    assert np.array_equal(read_bank(tmp_path / "new.safetensors").merit("ground"), bank.ground)
    with pytest.raises(UserError, match="boxes: grounded"):
        replace(bank, ground=None).merit("ground")


def test_growths_are_the_sizes_of_a_grounded_set() -> None:
    config = load_config(Path("params.yaml"))
    models = Models(FakeAnchors(), RedFinder(), FakeInpainter())
    source = (picture(20, 30, 18)[0] * 255).to(torch.uint8)
    task = EditTask("a", Path("a.png"), "a red ball", "a blue ball on snow")
    how = config.proposal_set("grounded")
    plain, _ = make_bank(models, task, source=source, config=config, how=how)
    grown = how.model_copy(
        update={"propose": how.propose.model_copy(update={"growths": (0, 1), "features": True})}
    )
    assert grown.most == (how.most[0], 2)
    bank, images = make_bank(models, task, source=source, config=config, how=grown)
    assert images.shape[:2] == (len(plain.boxes), 2) == bank.losses.shape[:2]
    assert np.array_equal(bank.boxes[:, :1], plain.boxes) and bank.features.size
    assert bank.ground is not None and plain.ground is not None
    assert np.array_equal(bank.ground[:, 0], plain.ground[:, 0])
    for found, wider in bank.boxes.tolist():
        out = [at + by for at, by in zip(found, (-4, -4, 4, 4), strict=True)]  # a cell
        assert wider == [min(64, max(0, at)) for at in out]


def test_a_bank_of_before_there_was_grounding_is_read(tmp_path: Path) -> None:
    config = load_config(Path("params.yaml"))
    models = Models(FakeAnchors(), RedFinder(), FakeInpainter())
    source = (picture(20, 30, 18)[0] * 255).to(torch.uint8)
    task = EditTask("a", Path("a.png"), "a red ball", "a blue ball on snow")
    how = config.proposal_set("truth").model_copy(update={"anchors": "centre", "boxes": "squares"})
    bank, _ = make_bank(models, task, source=source, config=config, how=how)
    write_bank(tmp_path / "bank.safetensors", bank)
    tables = read_tensors(tmp_path / "bank.safetensors")
    assert "ground" not in tables
    del tables["views"]
    write_tensors(tmp_path / "old.safetensors", tables)
    assert read_bank(tmp_path / "old.safetensors").views == 0


def test_a_search_that_finds_nothing_new_ends_there() -> None:
    class EmptyHanded(RedFinder):
        """CLIP as open_clip's is: a batch of no image is no batch."""

        def embed_images(self, images: Tensor) -> Tensor:
            assert len(images)
            return super().embed_images(images)

    image = picture(20, 0, 14)
    assert len(
        occlude_words(EmptyHanded(), image, words="red", sizes=SIZES, points=5, cell=CELL).boxes
    )


@pytest.mark.slow
def test_grounding_at_full_size_costs_81_views_and_little_memory() -> None:
    """ViT-B/16 with random weights on a photo of 512 pixels: 81 views of some 20 to 35 GFLOP, 32 at
    once. The boxes mean nothing, they are legal."""
    import open_clip
    import psutil

    from benchmarks.full_size import flops_of
    from lr_edit.frozen.clip import Clip

    model = open_clip.create_model("ViT-B-16", pretrained=None)
    clip = Clip(model, open_clip.get_tokenizer("ViT-B-16"))
    image = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    grounded = []
    before = psutil.Process().memory_info().rss
    flops = flops_of(
        lambda: grounded.append(ground_words(clip, image, words="a cat", points=5, cell=8))
    )
    assert grounded[0].views == 2 * TRIED + 1
    assert 81 * 17e9 < flops < 81 * 45e9  # some of its attention is not counted
    assert psutil.Process().memory_info().rss - before < 1.5 * 2**30
    boxes = grounded[0].boxes
    assert bool((boxes % 8 == 0).all()) and bool((boxes >= 0).all()) and bool((boxes <= 512).all())
