"""The Hugging Face hub: what a profile's loaders need from it, fetched, checked and written down.

Safetensors alone: a pickle runs code when it is loaded. Which revision and which bytes were fetched
is kept in weights/PROFILE.json, part of every result's key. Fetching resumes: a broken connection
goes on where it was, and a finished file is never fetched again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import open_clip
import timm
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError

from lr_edit.errors import UserError
from lr_edit.frozen.editors import find_editor
from lr_edit.frozen.pipelines import find_kind
from lr_edit.frozen.weights import VGG
from lr_edit.profiles import Profile, Weights
from lr_edit.workspace.storage import read_json

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
# Not fetched, not loaded: a picture blacked out by the safety checker is no candidate.
LEFT_OUT = ("safety_checker",)
_COPIED = re.compile(r".*\.(json|txt|model|jinja)$")  # configurations and vocabularies


@dataclass(frozen=True)
class Repository:
    """One repository of the hub as a profile's loaders use it.

    `kind` is the library that loads it: diffusers, timm, open_clip or transformers. `edits`: a
    pipeline is for whole pictures, not for masks.
    """

    name: str
    kind: str
    revision: str | None = None
    variant: str | None = None
    licence: str | None = None
    gated: bool = False
    pipeline: str | None = None
    edits: bool = field(default=False, compare=False)  # one that does both is fetched once


@dataclass(frozen=True)
class Offer:
    """What will be fetched from a repository at a resolved revision: file -> bytes."""

    repository: Repository
    revision: str
    files: dict[str, int]
    licence: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.files.values())


def repositories(profile: Profile) -> list[Repository]:
    """Every repository that a profile's models come from, each once.

    UserError where a model's weights exist as a pickle alone.
    """
    found = [repository(role, part) for role, part in profile.roles.items() if not part.folder]
    return list(dict.fromkeys(one for one in found if one))


def repository(role: str, part: Weights) -> Repository | None:
    """Where a role's weights lie; None for a trunk of LPIPS that torchvision keeps as a pickle."""
    own: dict[str, Any] = {"revision": part.revision, "licence": part.licence}
    if role in ("inpainter", "tiny vae", "editor"):
        own |= {"gated": part.gated, "pipeline": part.pipeline, "edits": role == "editor"}
        return Repository(part.name, "diffusers", variant=part.variant, **own)
    if role in ("detector", "segmenter"):
        return Repository(part.name, "transformers", gated=part.gated, **own)
    if role in ("anchors", "judge structure"):
        config = timm.get_pretrained_cfg(part.name)
        name = config.hf_hub_id if config else None
        return Repository(_known(name, part).rstrip("/"), "timm", **own)
    if role in ("clip", "judge clip"):
        config = open_clip.get_pretrained_cfg(part.name, part.pretrained or "")
        return Repository(_known(config.get("hf_hub"), part).rstrip("/"), "open_clip", **own)
    return Repository(VGG, "timm", **own) if part.name == "vgg" else None


def _known(name: str | None, part: Weights) -> str:
    if not name:
        tag = f":{part.pretrained}" if part.pretrained else ""
        raise UserError(f"weights {part.name + tag!r}: the library names no repository for them")
    return name


@contextmanager
def _report_failure(one: Repository, cure: str) -> Iterator[None]:
    """Around a request to the hub: one sentence, whichever HTTP client failed beneath it."""
    try:
        yield
    except UserError:
        raise
    except GatedRepoError:
        raise UserError(
            f"{one.name} wants its licence accepted ({one.licence or 'on its page'}): do so on its "
            "page, then run `hf auth login`"
        ) from None
    except Exception as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(f"{one.name} at {constants.ENDPOINT} failed ({cause}): {cure}") from error


def offer(one: Repository) -> Offer:
    """Ask the hub what a repository holds. UserError where it cannot be had, or is a pickle."""
    with _report_failure(one, "connect, or copy the weights from elsewhere with --from DIR"):
        info = HfApi().model_info(one.name, revision=one.revision, files_metadata=True)
        sizes = {s.rfilename: s.size or 0 for s in info.siblings or ()}
        parts = None
        if one.kind == "diffusers" and "model_index.json" in sizes:
            index = hf_hub_download(one.name, "model_index.json", revision=one.revision)
            parts = components(one, read_json(Path(index)))
    files = needed(sizes, one, parts=parts)
    licence = one.licence or getattr(info.card_data, "license", None) or "licence unknown"
    return Offer(one, str(info.sha), {file: sizes[file] for file in files}, licence)


def components(one: Repository, index: dict[str, Any]) -> list[str]:
    """The folders of a pipeline that are loaded, from its model_index.json. UserError, before
    anything is fetched, for a class that does not inpaint, or edit, here."""
    find = find_editor if one.edits else find_kind
    find(one.name, one.pipeline or index.get("_class_name", "pipeline without a name"))
    return [
        name
        for name, value in index.items()
        if isinstance(value, list) and value[0] and name not in LEFT_OUT
    ]


def needed(
    files: Iterable[str], one: Repository, *, parts: Sequence[str] | None = None
) -> list[str]:
    """Of a repository's files those that the loader reads, in order.

    `parts` are a pipeline's folders; without them the repository is one model.
    """
    files = sorted(files)
    if one.kind in ("timm", "open_clip"):
        wanted = {"timm": "model.safetensors", "open_clip": "open_clip_model.safetensors"}[one.kind]
        weights = [wanted] if wanted in files else []
        return [*(f for f in files if f == "config.json"), *_unpickled(weights, files, one.name)]
    chosen = ["model_index.json"] if parts else []
    for part in parts or [""]:
        inside = [f for f in files if PurePosixPath(f).parent == PurePosixPath(part)]
        weights = [f for f in inside if f.endswith(".safetensors")]
        ours = [f for f in weights if one.variant and re.search(rf"\.{one.variant}[.-]", f)]
        plain = [f for f in weights if not re.search(r"\.(fp16|bf16|non_ema)[.-]", f)]
        if not (ours or plain):
            _unpickled([], inside, one.name)
        chosen += [f for f in inside if _COPIED.match(f)] + (ours or plain)
    return chosen


def _unpickled(weights: list[str], files: list[str], name: str) -> list[str]:
    """The weights; UserError if there are none, but pickles."""
    pickles = [f for f in files if f.endswith(PICKLES)]
    if not weights and pickles:
        raise UserError(
            f"{name} has {pickles[0]} and no safetensors: a pickle runs code when it is loaded, so "
            "it is refused; name another revision, or convert it and use --from DIR"
        )
    return weights


def fetch(one: Offer) -> Path:
    """Fetch a repository's files into the hub's cache, with a bar; returns their folder."""
    source = one.repository
    with _report_failure(source, "run it again, what is finished is kept"):
        return Path(
            snapshot_download(source.name, revision=source.revision, allow_patterns=list(one.files))
        )


def adopt(one: Repository, folder: Path) -> Path:
    """Put a repository from `folder` where the loaders find it; returns its place.

    `folder` holds, for org/name, either models--org--name/ as a hub cache does, or org--name/ or
    org/name/ with the repository's own files.
    """
    home = Path(constants.HF_HUB_CACHE) / f"models--{one.name.replace('/', '--')}"
    source, revision = _given(one, folder)
    parts = None
    if one.kind == "diffusers" and (source / "model_index.json").is_file():
        parts = components(one, read_json(source / "model_index.json"))
    names = [p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()]
    chosen = needed(names, one, parts=parts)
    if not any(name.endswith(".safetensors") for name in chosen):
        raise UserError(f"{source} holds no safetensors of {one.name}: copy them there")
    place = home / "snapshots" / revision
    for name in chosen:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        part = place / f"{name}.part"
        shutil.copyfile(source / name, part)
        part.replace(place / name)
    (home / "refs").mkdir(exist_ok=True)
    if one.revision is None:  # what an unpinned name resolves to without a network
        (home / "refs/main").write_text(revision, encoding="utf-8")
    return place


def _given(one: Repository, folder: Path) -> tuple[Path, str]:
    """The folder of a repository's files below `folder`, and their revision."""
    cached = folder / f"models--{one.name.replace('/', '--')}"
    ref = cached / "refs/main"
    pinned = one.revision or (ref.read_text(encoding="utf-8").strip() if ref.is_file() else "main")
    for place in (cached / "snapshots" / pinned, folder / one.name.replace("/", "--"),
                  folder / one.name):  # fmt: skip
        if place.is_dir():
            return place, pinned
    raise UserError(
        f"{folder} has no {one.name}: it must hold {cached.name}/snapshots/{pinned}/, "
        f"{one.name.replace('/', '--')}/ or {one.name}/ with the repository's files"
    )


def record(one: Repository, folder: Path) -> dict[str, Any]:
    """What is written down of a repository in the hub's cache: revision, licence, every digest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".part"))
    return {
        "revision": folder.name,
        "licence": one.licence,
        "files": {p.relative_to(folder).as_posix(): _sha256(p) for p in files},
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table(offers: Sequence[Offer]) -> Iterator[str]:
    """One line per repository: size, licence, revision."""
    for one in offers:
        yield (
            f"{one.repository.name}  {one.size / 1e9:.2f} GB in {len(one.files)} files  "
            f"{one.licence}  revision {one.revision}"
            f"{'  gated: accept the licence on its page' if one.repository.gated else ''}"
        )
