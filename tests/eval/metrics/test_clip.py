"""CLIP similarities against plain numpy, and the edges where a cosine means nothing."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms.functional import to_pil_image

from eval import clip_similarity, directional_similarity, image_similarity
from tests.eval.networks import FakeClip

SOURCE, EDITED = torch.rand(2, 3, 3, 21, 17, generator=torch.Generator().manual_seed(7))
PROMPTS = ["a red boat", "a blue fish on sand", "a star"]
MODEL = FakeClip()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_similarity_is_a_hundred_cosines_unclamped() -> None:
    got = clip_similarity(EDITED, PROMPTS, model=MODEL).numpy()
    images, texts = MODEL.embed_images(EDITED).numpy(), MODEL.embed_texts(PROMPTS).numpy()
    want = [100 * cosine(a, b) for a, b in zip(images, texts, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_what_points_away_from_the_words_is_negative() -> None:
    class Contrary(FakeClip):
        def embed_texts(self, texts: list[str]) -> torch.Tensor:
            return -self.embed_images(EDITED[: len(texts)])

    got = clip_similarity(EDITED, PROMPTS, model=Contrary())
    np.testing.assert_allclose(got, -100, rtol=1e-6)


def test_one_prompt_stands_for_all_images() -> None:
    got = clip_similarity(EDITED, PROMPTS[:1], model=MODEL)
    torch.testing.assert_close(got, clip_similarity(EDITED, PROMPTS[:1] * 3, model=MODEL))


def test_the_edited_region_is_shown_on_black() -> None:
    mask = torch.zeros(3, 1, 21, 17, dtype=torch.bool)
    mask[:2, :, 4:12, 3:9] = True
    got = clip_similarity(EDITED, PROMPTS, model=MODEL, mask=mask, region="edited")
    black = EDITED.clone()
    black[:, :, :4], black[:, :, 12:], black[..., :3], black[..., 9:] = 0, 0, 0, 0
    torch.testing.assert_close(got[:2], clip_similarity(black, PROMPTS, model=MODEL)[:2])
    assert got[2].isnan()


def test_a_crop_is_the_regions_bounding_box_alone() -> None:
    mask = torch.zeros(3, 1, 21, 17, dtype=torch.bool)
    mask[0, 0, 2, 3], mask[0, 0, 9, 12] = True, True  # two far corners
    mask[1] = True
    got = clip_similarity(EDITED, PROMPTS, model=MODEL, mask=mask, region="crop")
    cut = clip_similarity(EDITED[:1, :, 2:10, 3:13], PROMPTS[:1], model=MODEL)
    whole = clip_similarity(EDITED, PROMPTS, model=MODEL)
    torch.testing.assert_close(got[:2], torch.stack([cut[0], whole[1]]))
    assert got[2].isnan()


def test_direction_is_the_cosine_of_two_differences() -> None:
    got = directional_similarity(
        SOURCE, EDITED, source_texts=PROMPTS, prompts=PROMPTS[::-1], model=MODEL
    )
    seen = (MODEL.embed_images(EDITED) - MODEL.embed_images(SOURCE)).numpy()
    asked = (MODEL.embed_texts(PROMPTS[::-1]) - MODEL.embed_texts(PROMPTS)).numpy()
    np.testing.assert_allclose(got[0], cosine(seen[0], asked[0]), rtol=1e-5)
    np.testing.assert_allclose(got[2], cosine(seen[2], asked[2]), rtol=1e-5)
    assert got[1].isnan()  # the middle prompt says what the source words say


def test_an_edit_that_changes_nothing_went_nowhere() -> None:
    got = directional_similarity(
        SOURCE, SOURCE.clone(), source_texts=PROMPTS[:1], prompts=PROMPTS[1:2], model=MODEL
    )
    assert (got == 0).all()


def test_an_image_is_wholly_similar_to_itself() -> None:
    torch.testing.assert_close(
        image_similarity(SOURCE, SOURCE.clone(), model=MODEL), torch.ones(3, dtype=torch.float64)
    )
    images = [MODEL.embed_images(x)[0].numpy() for x in (SOURCE, EDITED)]
    got = image_similarity(SOURCE[:1], EDITED, model=MODEL)
    np.testing.assert_allclose(got[0], cosine(*images), rtol=1e-6)


@pytest.fixture(scope="module")
def bare() -> open_clip.CLIP:
    """The real class, small, with random weights and no word of how images are prepared."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return open_clip.CLIP(
            16,
            open_clip.CLIPVisionCfg(layers=1, width=32, head_width=16, patch_size=8, image_size=32),
            open_clip.CLIPTextCfg(context_length=77, width=16, heads=2, layers=1),
        ).eval()


def test_a_plain_open_clip_model_comes_with_its_tokenizer(bare: open_clip.CLIP) -> None:
    tokenizer = open_clip.SimpleTokenizer()
    got = clip_similarity(EDITED, PROMPTS, model=bare, tokenizer=tokenizer).numpy()
    own = open_clip.image_transform(32, is_train=False)  # what open_clip itself would show
    seen = torch.stack([own(to_pil_image((image * 255).round().byte())) for image in EDITED])
    with torch.no_grad():
        images = F.normalize(bare.encode_image(seen), dim=-1).numpy()
        words = F.normalize(bare.encode_text(tokenizer(PROMPTS)), dim=-1).numpy()
    want = [100 * cosine(a, b) for a, b in zip(images, words, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    direction = directional_similarity(
        SOURCE, EDITED.double(), source_texts=PROMPTS, prompts=PROMPTS[::-1], model=bare,
        tokenizer=tokenizer,
    )  # fmt: skip
    assert direction[1].isnan() and direction[0].abs() <= 1
    assert image_similarity(SOURCE, SOURCE, model=bare)[0].item() == pytest.approx(1)


def test_a_plain_model_without_a_tokenizer_is_refused(bare: open_clip.CLIP) -> None:
    with pytest.raises(ValueError, match="tokenizer"):
        clip_similarity(EDITED, PROMPTS, model=bare)
