"""What happens when weights are not there: one sentence for the user, no library's trace."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lr_edit.errors import UserError, lacks_memory
from lr_edit.files import read_text
from lr_edit.frozen.reach import hub_or_cache
from lr_edit.profiles import LOCAL, Weights
from lr_edit.workspace.paths import checkout, locate
from lr_edit.workspace.storage import content_key, folder_digest, read_json

# Rows of transformers' report, of its version 5 and of 4.
_LACKS = r"([^\s|]+)\s*\|\s*MISSING|newly initialized: \['([^']+)'"
_MISFIT = r"([^\s|]+)\s*\|\s*MISMATCH([^\n]*)"
_FLOATS = ("F64", "F32", "F16", "BF16")
VGG = "timm/vgg16.tv_in1k"  # the trunk of LPIPS vgg: torchvision's weights as safetensors


def folder_of(name: str) -> Path | None:
    """The folder that `local-dir:FOLDER` names; None for the name of a hub model."""
    return Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else None


@contextmanager
def loading(name: str, *, needs: tuple[str, ...] = ()) -> Iterator[None]:
    """Around a library's loader: raises UserError if a needed file is absent or loading fails."""
    folder = folder_of(name)
    for file in needs if folder else ():
        if not (folder / file).is_file():  # type: ignore[operator]
            raise UserError(f"weights {name!r}: {file} is not there; get it with `dvc pull`")
    reached = True
    try:
        with hub_or_cache() if folder is None else nullcontext(True) as reached, _complete(name):
            if folder:
                _check_types(name, folder)
            yield
    # RuntimeError and ValueError: timm and open_clip for unknown names and misfitting weights.
    # The others: configurations of another kind than a loader thinks of.
    except (OSError, RuntimeError, ValueError, SafetensorError, LookupError, TypeError,
            AttributeError, StopIteration) as error:  # fmt: skip
        if lacks_memory(error):
            raise MemoryError(f"weights {name!r}") from error
        said = f"{type(error).__name__}: {error}".splitlines()
        cause = " ".join(line.strip() for line in said[:2]).split(". ")[0][:300]
        cure = "`dvc pull`" if folder else "`lr-edit models pull --profile NAME`"
        if not reached:
            cause = "the hub cannot be reached, and its cache here does not hold them"
            cure += " on a connected machine, or `--from FOLDER` here"
        raise UserError(
            f"weights {name!r} cannot be loaded ({cause}); get them with {cure}"
        ) from error


def _check_types(name: str, folder: Path) -> None:
    """UserError where a weight or a bias is of whole numbers or the like, which a loader would
    silently turn into others; a quantiser's own are for it to read."""
    for file in sorted(folder.rglob("*.safetensors")):
        config = file.parent / "config.json"
        if config.is_file() and '"quantization_config"' in read_text(config):
            continue
        with safe_open(file, "np") as tensors:
            for key in tensors.keys():  # noqa: SIM118
                kind = tensors.get_slice(key).get_dtype()
                if key.endswith((".weight", ".bias")) and kind not in _FLOATS:
                    raise UserError(
                        f"weights {name!r}: the tensor {key!r} of {file.name} is of type {kind}, "
                        "no floating-point number; get them anew"
                    )


def class_named(name: str, index: object) -> str:
    """The class of a pipeline, by its model_index.json.

    Raises UserError where that, or the settings of its scheduler, are nobody's.
    """
    if not isinstance(index, dict):
        raise UserError(f"weights {name!r}: model_index.json is no table; get them anew")
    settings = (folder_of(name) or Path()) / "scheduler" / "scheduler_config.json"
    if folder_of(name) and settings.is_file() and "_class_name" not in read_text(settings):
        raise UserError(f"weights {name!r}: {settings.name} names no scheduler; get them anew")
    return str(index.get("_class_name", "pipeline without a name"))


@contextmanager
def _complete(name: str) -> Iterator[None]:
    """UserError where transformers reports of a checkpoint that it lacks a tensor, in whose place
    it would go on with a random one, or holds one of another shape."""
    said: list[str] = []
    logger, handler = logging.getLogger("transformers.modeling_utils"), logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)  # at WARNING it speaks of tensor parallelism
    logger.propagate = False
    try:
        yield
    except RuntimeError as error:
        if found := re.search(_MISFIT, _without_colours(said)):
            raise UserError(
                f"weights {name!r}: the tensor {found[1]!r} does not fit: {found[2].strip(' |')}"
            ) from error
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
    if found := re.search(_LACKS, _without_colours(said)):
        raise _lack(name, found[1] or found[2])


def _without_colours(said: list[str]) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(said))


def _lack(name: str, tensor: str) -> UserError:
    return UserError(f"weights {name!r} lack the tensor {tensor!r}: get them anew")


def check_numbers(name: str, *modules: object) -> None:
    """UserError where a tensor of the weights holds NaN or infinity, by its name."""
    import torch  # not for those who only ask where weights are

    for module in modules:
        if isinstance(module, torch.nn.Module) and not _is_quantised(module):
            for key, value in module.state_dict().items():
                if value.is_meta:  # what diffusers leaves of a tensor that is not there
                    raise _lack(name, key)
                if value.is_floating_point() and not torch.isfinite(value).all():
                    wrong = int((~torch.isfinite(value)).sum())
                    raise UserError(
                        f"weights {name!r}: the tensor {key!r} of {type(module).__name__} holds "
                        f"{wrong} values of {value.numel()} that are no numbers; get them anew"
                    )


def _is_quantised(module: object) -> bool:
    """Whether its tensors are a quantiser's own, which have no `isfinite`."""
    return getattr(module, "hf_quantizer", None) is not None


def resolve(root: Path, name: str) -> str:
    """The name with its `local-dir:` folder made absolute: see `workspace.paths.locate`."""
    folder = folder_of(name)
    return name if folder is None else f"{LOCAL}{locate(root, folder)}"


def digest(root: Path, name: str, *, revision: str | None = None) -> str:
    """What identifies weights: the sha256 of a folder, or what a pull of a hub's model left in
    weights/PROFILE.json; where nothing was pulled, its name and revision."""
    folder = folder_of(name)
    if folder is None:
        pulled = pulled_weights(root).get(name)
        known = pulled and revision in (None, pulled["revision"])
        return content_key(pulled) if known else f"{name}@{revision or 'main'}"
    if not (place := locate(root, folder)).is_dir():
        raise UserError(f"weights {name!r}: the folder is not there; get it with `dvc pull`")
    return folder_digest(place)


def identify(root: Path, part: Weights) -> list[str | None]:
    """What tells a part of a profile from another: its weights, and how they are read."""
    own = [digest(root, part.name, revision=part.revision), part.pretrained, part.variant]
    return [*own, part.pipeline] if part.pipeline else own


def pulled_weights(root: Path) -> dict[str, dict[str, Any]]:
    """Model name -> {revision, licence, files: {path: sha256}}, of every pulled profile."""
    records = sorted((checkout(root) / "weights").glob("*.json"))
    return {name: row for path in records for name, row in read_json(path).items()}
