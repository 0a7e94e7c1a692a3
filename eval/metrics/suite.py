"""Every metric of one source and its edit, by name: what it is, what it needs, what it gives.

A metric needs nothing, or one network (`role`), and perhaps a mask, a prompt, or words that
describe the source. What the pair lacks is NaN. Values are raw; tables multiply them by 10^power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from torch import Tensor

from eval.metrics.absolute import mean_absolute_error
from eval.metrics.change import THRESHOLD, Aspect, judge_change
from eval.metrics.clip import clip_similarity, directional_similarity, image_similarity
from eval.metrics.dino import dino_similarity
from eval.metrics.lpips import lpips_distance
from eval.metrics.pair import Metric, Networks, Pair, PairTensors, Role, as_tensors
from eval.metrics.pixels import in_decibels, mean_in_region, mean_squared_error
from eval.metrics.regions import Protocol, Region
from eval.metrics.registry import BY_KEY, Measure
from eval.metrics.ssim import mean_similarity, structural_similarity
from eval.metrics.structure import structure_distance
from lr_edit.errors import UserError, suggest_name


def _mse(region: Region) -> Callable[[PairTensors], Tensor]:
    def value(seen: PairTensors) -> Tensor:
        if seen.protocol == "strict":
            return mean_in_region(seen.error, seen.region(region))
        return mean_squared_error(
            seen.source, seen.edited, mask=seen.mask, region=region, protocol=seen.protocol
        )

    return value


def _psnr(region: Region) -> Callable[[PairTensors], Tensor]:
    return lambda seen: in_decibels(_mse(region)(seen))


def _ssim(region: Region) -> Callable[[PairTensors], Tensor]:
    def value(seen: PairTensors) -> Tensor:
        if seen.protocol == "strict":
            return mean_similarity(seen.similarity, seen.region(region))
        return structural_similarity(
            seen.source, seen.edited, mask=seen.mask, region=region, protocol=seen.protocol
        )

    return value


def _lpips(region: Region) -> Callable[[PairTensors], Tensor]:
    return lambda seen: lpips_distance(
        seen.source, seen.edited, mask=seen.mask, region=region, protocol=seen.protocol,
        net=seen.networks["perceptual"],
    )  # fmt: skip


def _clip(region: Region | Literal["crop"]) -> Callable[[PairTensors], Tensor]:
    return lambda seen: clip_similarity(
        seen.edited, [str(seen.pair.prompt)], model=seen.networks["clip"], mask=seen.mask,
        region=region, protocol=seen.protocol,
    )  # fmt: skip


def _structure(seen: PairTensors) -> Tensor:
    return structure_distance(
        seen.source, seen.edited, backbone=seen.networks["structure"], protocol=seen.protocol
    )


def _direction(seen: PairTensors) -> Tensor:
    return directional_similarity(
        seen.source, seen.edited, source_texts=[str(seen.pair.source_text)],
        prompts=[str(seen.pair.prompt)], model=seen.networks["clip"], protocol=seen.protocol,
    )  # fmt: skip


def _same_image(seen: PairTensors) -> Tensor:
    return image_similarity(seen.source, seen.edited, model=seen.networks["clip"])


def _target_error(seen: PairTensors) -> Tensor:
    return mean_absolute_error(_there(seen.target), _there(seen.fitted))


def _target_square(seen: PairTensors) -> Tensor:
    return mean_squared_error(_there(seen.target), _there(seen.fitted), region="whole")


def _target_clip(seen: PairTensors) -> Tensor:
    return image_similarity(_there(seen.target), seen.saved, model=seen.networks["clip"])


def _target_dino(seen: PairTensors) -> Tensor:
    return dino_similarity(_there(seen.target), seen.saved, backbone=seen.networks["dino"])


def _words(seen: PairTensors) -> Tensor:
    return _against_words(seen, seen.saved)


def _target_words(seen: PairTensors) -> Tensor:
    return _against_words(seen, _there(seen.target))


def _against_words(seen: PairTensors, images: Tensor) -> Tensor:
    """The plain cosine, as MagicBrush and Emu Edit print it."""
    return clip_similarity(images, [str(seen.pair.prompt)], model=seen.networks["clip"]) / 100


def _there(images: Tensor | None) -> Tensor:
    assert images is not None  # `needs` says so
    return images


def _change(aspect: Aspect) -> Callable[[PairTensors], Tensor]:
    return lambda seen: judge_change(seen.difference, _there(seen.mask)[:, 0], aspect=aspect)


def _changes() -> list[Metric]:
    rows: tuple[tuple[Aspect, str, bool], ...] = (
        ("hit", f"Hit >{THRESHOLD:g}", True), ("miss", f"Miss >{THRESHOLD:g}", False),
        ("leak", f"Leak >{THRESHOLD:g}", False), ("leak_size", "Leak size", False),
        ("auc", "AUC", True),
    )  # fmt: skip
    return [
        Metric(
            Measure(f"change_{aspect}", title, "Change", higher,
                    "background" if "leak" in aspect else "edited", power=2),
            _change(aspect), None, ("mask",),
        )
        for aspect, title, higher in rows
    ]  # fmt: skip


def _regional(region: Region) -> list[Metric]:
    """The four comparisons of a region; the background's have the names of published tables."""
    kinds: tuple[tuple[str, str, bool, int, Role | None, Callable[[PairTensors], Tensor]], ...] = (
        ("psnr", "PSNR", True, 0, None, _psnr(region)),
        ("lpips", "LPIPS", False, 3, "perceptual", _lpips(region)),
        ("mse", "MSE", False, 4, None, _mse(region)),
        ("ssim", "SSIM", True, 2, None, _ssim(region)),
    )
    found = []
    for kind, title, higher, power, role, value in kinds:
        name = "lpips" if (kind, region) == ("lpips", "background") else f"{region}_{kind}"
        measure = BY_KEY.get(name) or Measure(
            name, title, region.capitalize(), higher, region, power=power,
            paired="none" if kind == "psnr" else "test",
        )  # fmt: skip
        found.append(Metric(measure, value, role, () if region == "whole" else ("mask",)))
    return found


_CROP = Measure("clip_crop", "Crop", "CLIP", True, "edited")
_ALL = (
    Metric(BY_KEY["structure_distance"], _structure, "structure"),
    *_regional("background"),
    Metric(BY_KEY["clip_whole"], _clip("whole"), "clip", ("prompt",)),
    Metric(BY_KEY["clip_edited"], _clip("edited"), "clip", ("prompt", "mask")),
    Metric(_CROP, _clip("crop"), "clip", ("prompt", "mask")),
    Metric(BY_KEY["clip_directional"], _direction, "clip", ("prompt", "source-prompt")),
    Metric(BY_KEY["clip_i"], _same_image, "clip"),
    *_regional("whole"),
    *_regional("edited"),
    *_changes(),
    Metric(Measure("whole_l1", "L1", "Whole", False, "whole", power=2),
           lambda seen: seen.gap.abs().mean((1, 2, 3))),
    Metric(Measure("dino_i", "DINO", "Whole", True, "whole", power=2),
           lambda seen: dino_similarity(seen.source, seen.edited, backbone=seen.networks["dino"]),
           "dino"),
    Metric(Measure("target_l1", "L1", "Target", False, "whole", decimals=4), _target_error,
           None, ("target",)),
    Metric(Measure("target_l2", "L2", "Target", False, "whole", decimals=4), _target_square,
           None, ("target",)),
    Metric(Measure("target_clip_i", "CLIP-I", "Target", True, "whole", decimals=4), _target_clip,
           "clip", ("target",)),
    Metric(Measure("target_dino", "DINO", "Target", True, "whole", decimals=4), _target_dino,
           "dino", ("target",)),
    Metric(Measure("clip_t", "CLIP-T", "Target", True, "whole", decimals=4), _words,
           "clip", ("prompt",)),
    Metric(Measure("target_clip_t", "its own CLIP-T", "Target", True, "whole", decimals=4,
                   paired="none"), _target_words, "clip", ("target", "prompt")),
)  # fmt: skip
# What MagicBrush and Emu Edit print, and in which order.
MAGICBRUSH = ("target_l1", "target_l2", "target_clip_i", "target_dino", "clip_t", "target_clip_t")
EMU_EDIT = ("clip_directional", "clip_i", "clip_t", "whole_l1", "dino_i")
SUITE: dict[str, Metric] = {metric.measure.key: metric for metric in _ALL}
FAMILIES = {
    "mse": ("background_mse", "whole_mse"),
    "psnr": ("background_psnr", "whole_psnr"),
    "ssim": ("background_ssim", "whole_ssim"),
    "clip": tuple(n for n in SUITE if n.startswith("clip_") and n != "clip_t"),
    "structure": ("structure_distance",),
    "change": tuple(name for name in SUITE if name.startswith("change_")),
    "magicbrush": MAGICBRUSH,
    "emu-edit": EMU_EDIT,
}
# What is measured unless somebody asks: how much the edited region changed is no quality, and the
# published numbers of a data set are for that data set.
_ASKED = {*MAGICBRUSH, *EMU_EDIT} - {"clip_directional", "clip_i"}
DEFAULT = tuple(name for name in SUITE if not name.startswith("edited_") and name not in _ASKED)


def select_metrics(names: Iterable[str]) -> tuple[str, ...]:
    """Metrics by name or family (`mse`, `clip`), once each; UserError for other names."""
    found: list[str] = []
    for name in (name.strip() for name in names):
        if name not in SUITE and name not in FAMILIES:
            raise UserError(f"unknown metric {name!r}{suggest_name(name, (*SUITE, *FAMILIES))}")
        found += FAMILIES.get(name, (name,))
    return tuple(dict.fromkeys(found))


# What a vision-language judge gives; `eval.external.judges` asks it.
JUDGED = {
    measure.key: measure
    for measure in (
        Measure("judge_sc", "SC", "Judge", True, "whole"),
        Measure("judge_pq", "PQ", "Judge", True, "whole"),
        Measure("judge_o", "O", "Judge", True, "whole"),
        Measure("judge_mean", "Mean", "Judge", True, "whole"),
    )
}


def find_measure(name: str) -> Measure:
    """How a metric of the suite, or a judge's value, is called and printed."""
    return JUDGED[name] if name in JUDGED else SUITE[name].measure


def describe_metric(name: str) -> dict[str, Any]:
    """Where a metric is measured and which way is better."""
    known = find_measure(name)
    return {"region": known.region, "higher_is_better": known.higher_is_better}


def measure(
    pair: Pair, names: Iterable[str], *, networks: Networks, protocol: Protocol
) -> dict[str, float]:
    """Metric -> value; NaN where the pair lacks what it needs, inf for the PSNR of equal pixels."""
    seen = as_tensors(pair, networks=networks, protocol=protocol)
    return {
        name: float("nan")
        if pair.lacks(SUITE[name].needs)
        else float(SUITE[name].value(seen).item())
        for name in names
    }
