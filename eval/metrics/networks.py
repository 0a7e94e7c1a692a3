"""The networks that measure: which a protocol or a profile names, loaded, with their digests.

Nothing is downloaded. Weights that are not here are a `UserError`, and `cure` says how to get them.
Libraries are imported where a network is loaded: pixels are measured without any.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors.torch import load_file
from torch import Tensor, nn

from eval.metrics import pie_bench
from lr_edit.errors import UserError, shorten, suggest_name
from lr_edit.frozen.weights import LOCAL, VGG, folder_of, loading, resolve
from lr_edit.profiles import Profile, Weights
from lr_edit.workspace.storage import content_key

DINO = "vit_small_patch16_224.dino"  # of the DINO score
Named = Mapping[str, tuple[str, str | None]]  # role -> (name, tag)
# lpips name -> the ImageNet trunk that torchvision keeps in torch's own cache, or the hub.
TRUNKS = {"alex": "alexnet", "vgg": None, "squeeze": "squeezenet1_1"}


@dataclass(frozen=True)
class Network:
    """One loaded network; `digest` is the sha256 of its weights."""

    name: str
    model: Any
    digest: str


def parse_weights(text: str) -> Weights:
    """`NAME`, `NAME:TAG` as in ViT-L-14-quickgelu:openai, or `local-dir:FOLDER` from here."""
    if text.startswith(LOCAL):
        return Weights(name=resolve(Path.cwd(), text))
    name, _, tag = text.partition(":")
    return Weights(name=name, pretrained=tag or None)


def choose_weights(
    profile: Profile | None, *, protocol: str, options: Mapping[str, str | None],
    published: Named = MappingProxyType({}),
) -> dict[str, Weights]:  # fmt: skip
    """Role -> weights: the user's own, else the data set's, else the profile's judges, else the
    protocol's.

    `pie-bench` names its networks, and a data set those of its published numbers (`published`), so
    that on photos they stand before the profile's.
    """
    drawn = profile is not None and profile.world == "picturebook"
    chosen = _as_weights(pie_bench.NETWORKS)
    chosen["dino"] = Weights(name=DINO)
    if protocol == "strict":
        chosen["perceptual"] = Weights(name="alex")
    if profile and (protocol == "strict" or drawn):
        judges = profile.judges
        chosen["clip"], chosen["structure"] = judges.clip, judges.structure
        if judges.perceptual:
            chosen["perceptual"] = judges.perceptual
    if not drawn:
        chosen |= _as_weights(published)
    return chosen | {role: parse_weights(text) for role, text in options.items() if text}


def _as_weights(named: Named) -> dict[str, Weights]:
    return {role: Weights(name=name, pretrained=tag) for role, (name, tag) in named.items()}


def load_network(role: str, weights: Weights, *, root: Path) -> Network:
    """`local-dir:` folders are below the root. UserError for a name that its library does not know,
    and where weights are missing."""
    _check_known(role, weights)
    name, on = resolve(root, weights.name), device()
    if role == "clip":
        from eval.metrics.clip import PictureClip
        from lr_edit.frozen.clip import load_clip

        model: Any = PictureClip(load_clip(name, weights.pretrained, device=on))
        module = model.model
    elif role in ("structure", "dino"):
        from lr_edit.frozen.dino import load_dino

        model = module = load_dino(name, device=on).model
    else:
        model = module = load_lpips(root, weights, device=on)
    tag = f":{weights.pretrained}" if weights.pretrained else ""
    return Network(f"{weights.name}{tag}", model, weights_digest(module))


def _check_known(role: str, weights: Weights) -> None:
    """UserError for a model or a tag that no library has: no download would mend it. Folders and
    the hub's own names are looked up by their loaders."""
    name, tag = weights.name, weights.pretrained
    if role == "perceptual" or ":" in name or "/" in name:
        return
    if role == "clip":
        from lr_edit.frozen.clip import known_clips

        models, tags = known_clips(name)
        if name in models and tag and tag not in tags:
            raise UserError(f"open_clip's {name} has no weights {tag!r}{suggest_name(tag, tags)}")
    else:
        from lr_edit.frozen.dino import known_vits

        models = known_vits()
    if name not in models:
        raise UserError(f"there is no model {shorten(name)}{suggest_name(name, models)}")


def load_lpips(root: Path, weights: Weights, *, device: str = "cpu") -> nn.Module:
    """The project's own trunk from a folder, or the lpips package's `alex`, `vgg`, `squeeze`."""
    name = weights.name
    if folder_of(name):
        from lr_edit.frozen.perceptual import load_perceptual

        return load_perceptual(resolve(root, name), device=device).module
    if name not in TRUNKS:
        raise UserError(f"unknown LPIPS network {name!r}{suggest_name(name, TRUNKS)}")
    place = _trunk_file(name, weights.revision)
    if not place.is_file():
        raise UserError(
            f"weights {name!r}: the trunk is not here; {say_cure('perceptual', weights)}"
        )
    import lpips

    with loading(name), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torchvision's, of argument names
        # The package itself would have torchvision unpickle a trunk, which can run code.
        net = lpips.LPIPS(net=name, verbose=False, pnet_rand=True)
        plain = name == "vgg"
        _fill(net.net, load_file(place) if plain else torch.load(place, weights_only=True))
    return net.eval().requires_grad_(False).to(device)


def _trunk_file(name: str, revision: str | None) -> Path:
    """Where the libraries' caches keep a trunk's weights."""
    if trunk := TRUNKS[name]:
        from torchvision.models import get_model_weights

        url = cast(Any, get_model_weights(trunk)).IMAGENET1K_V1.url
        return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    found = try_to_load_from_cache(VGG, "model.safetensors", revision=revision)
    return Path(found if isinstance(found, str) else "model.safetensors")


def _fill(slices: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """torchvision's `features.5.weight` into lpips' `slice2.5.weight`."""
    own = slices.state_dict()
    slices.load_state_dict({key: weights[f"features.{key.split('.', 1)[1]}"] for key in own})


def say_cure(role: str, weights: Weights, *, own: bool = False) -> str:
    """How to get weights that are not here, in words; `own` are those that a user named."""
    name, tag = weights.name, weights.pretrained
    if folder_of(name):
        bundled = name.removeprefix(LOCAL).startswith("models/") and not own
        return "get them with `dvc pull`" if bundled else "name a folder that holds them"
    if role == "clip" and not tag:
        return f"name them with their tag, as in {name}:openai"
    if role == "perceptual" and name == "vgg":
        line = "import timm; timm.create_model('vgg16.tv_in1k', pretrained=True)"
    elif role == "perceptual":
        line = f"import lpips; lpips.LPIPS(net='{name}')"
    elif role == "clip":
        line = f"import open_clip; open_clip.create_model('{name}', pretrained='{tag}')"
    else:
        line = f"import timm; timm.create_model('{name}', pretrained=True)"
    return f'run `python -c "{line}"` once on a connected machine'


def weights_digest(module: nn.Module) -> str:
    """sha256 over the names and bytes of every parameter and buffer."""
    state = sorted(module.state_dict().items())
    return content_key(
        *(part for name, value in state for part in (name, value.cpu().contiguous().numpy()))
    )


def device() -> str:
    """A GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
