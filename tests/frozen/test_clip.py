"""The CLIP adapter against open_clip's own preprocessing and towers, and its refusals."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

from lr_edit.errors import UserError
from lr_edit.frozen.clip import Clip, load_clip
from lr_edit.picturebook import clip as small


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip")
    small.export(small.build("evaluation-clip"), path, name="evaluation-clip")
    return path


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    return load_clip(f"local-dir:{folder}")


def photo(width: int, height: int) -> Image.Image:
    noise = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1)) * 255
    small_one = Image.fromarray(noise.byte().permute(1, 2, 0).numpy())
    return small_one.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(64, 64), (200, 128), (96, 150), (40, 40)])
def test_images_are_prepared_as_the_checkpoint_prepares_them(
    clip: Clip, folder: Path, size: tuple[int, int]
) -> None:
    _, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    image = photo(*size)
    ours, theirs = clip.prepare(to_tensor(image)[None])[0], preprocess(image)
    # Theirs rounds to 8 bits between resizing and normalising (deviation 0.5).
    assert (ours - theirs).abs().max() <= 2 / 255 / 0.5


def test_embeddings_are_unit_vectors_of_the_two_towers(clip: Clip) -> None:
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    seen, said = clip.embed_images(images), clip.embed_texts(["a red boat on snow", "nothing"])
    assert seen.shape == (3, 128) and said.shape == (2, 128)
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(said.norm(dim=1), torch.ones(2))
    expected = clip.model.encode_image((images - 0.5) / 0.5, normalize=True)
    torch.testing.assert_close(seen, expected)


def test_embeddings_do_not_depend_on_the_batch(clip: Clip) -> None:
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([clip.embed_images(image[None]) for image in images])
    torch.testing.assert_close(clip.embed_images(images), alone)


def test_tokens_are_the_towers_own(clip: Clip) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    visual = clip.model.visual
    visual.output_tokens = True
    _, expected = visual((images - 0.5) / 0.5)
    visual.output_tokens = False
    assert clip.tokens(images).shape == (2, 64, 96)
    torch.testing.assert_close(clip.tokens(images), expected)


def test_a_model_is_born_frozen(clip: Clip) -> None:
    assert not clip.model.training
    assert not any(weight.requires_grad for weight in clip.model.parameters())
    assert next(clip.model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("scale", [255.0, -1.0])
def test_other_ranges_are_refused(clip: Clip, scale: float) -> None:
    with pytest.raises(ValueError, match="lie in"):
        clip.embed_images(torch.rand(1, 3, 64, 64) * scale)


def test_a_model_without_a_tag_would_be_random_and_is_refused() -> None:
    with pytest.raises(UserError, match="tag"):
        load_clip("ViT-B-16-quickgelu")


def test_missing_weights_are_one_sentence(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match=r"is not there; get it with `dvc pull`"):
        load_clip(f"local-dir:{tmp_path}")
    config = (folder / "open_clip_config.json").read_text()
    (tmp_path / "open_clip_config.json").write_text(config)
    with pytest.raises(UserError, match=r"open_clip_model\.safetensors is not there"):
        load_clip(f"local-dir:{tmp_path}")


def test_corrupt_weights_are_one_sentence(tmp_path: Path, folder: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_clip(f"local-dir:{tmp_path}")


def test_weights_of_the_hub_are_one_sentence_on_a_closed_machine() -> None:
    with pytest.raises(UserError, match="lr-edit models pull --profile"):
        load_clip("ViT-B-16-quickgelu", "openai")


def test_what_lies_beyond_the_context_is_what_changes_nothing(clip: Clip) -> None:
    kept = "a red boat on snow"
    assert clip.cut_text(kept) == clip.cut_text(f"{kept}  ") == ""
    long = "a blue fish and a red boat and a green cup " * 9 + "on snow"
    cut = clip.cut_text(long)
    assert cut.endswith("on snow") and long.endswith(cut) and cut != long
    seen = clip.embed_texts([long, long.removesuffix(cut), long.removesuffix(cut)[:20]])
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])
