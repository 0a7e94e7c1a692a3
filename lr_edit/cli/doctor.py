"""What is installed, which weights are here, whether the store answers."""

from __future__ import annotations

import configparser
import hashlib
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.table import Table

from lr_edit.config import Config
from lr_edit.errors import UserError
from lr_edit.profiles import NEEDED, Profile, Weights
from lr_edit.workspace.paths import checkout, locate
from lr_edit.workspace.storage import write_json

_PACKAGES = (
    "torch", "diffusers", "transformers", "timm", "open_clip_torch", "mlflow", "dvc", "lpips",
    "torchmetrics", "click",
)  # fmt: skip


def examine(root: Path, config: Config, *, every: bool = True) -> dict[str, Any]:
    """Everything a bug report needs; the weights of the chosen profile, or of every one."""
    import torch

    gpu = torch.cuda.is_available()
    return {
        "versions": {name: _version(name) for name in ("lr-edit", *_PACKAGES)},
        "device": torch.cuda.get_device_name() if gpu else f"cpu, {os.cpu_count()} cores",
        "root": str(root),
        "store": _store(root),
        "damaged": [str(path) for path in damaged_objects(checkout(root))],
        "profile": config.profile,
        "weights": [
            row for row in list_weights(root, config) if every or row["profile"] == config.profile
        ],
        "others": [] if every else sorted(config.profiles.keys() - {config.profile}),
    }


def findings_table(found: dict[str, Any]) -> Table:
    """The findings for a person: the chosen profile first, what is damaged before what is not."""
    table = Table("what", "is", show_header=False)
    table.add_row("profile", found["profile"])
    for row in found["weights"]:
        own = row["profile"] == found["profile"]
        state = "present" if row["present"] else f"missing: {row['cure']}"
        role = row["role"] if own else f"{row['profile']} {row['role']}"
        table.add_row(role, f"{row['name']}  {state}")
    if found["others"]:
        table.add_row("others", f"{', '.join(found['others'])}: `lr-edit doctor --all`")
    table.add_section()
    for path in found["damaged"]:
        table.add_row("damaged", f"{path}: delete it, then `git checkout dvcstore`, `dvc pull`")
    for key in ("device", "root", "store"):
        table.add_row(key, found[key])
    table.add_section()
    for name, value in found["versions"].items():
        table.add_row(name, value)
    return table


def weights_line(row: dict[str, Any]) -> str:
    """One model of `list_weights`, for a person."""
    there, gated = "present" if row["present"] else "missing", "  gated" if row["gated"] else ""
    return (
        f"{row['profile']:15} {row['role']:16} {there:8} {row['name']}  {row['revision'] or ''}  "
        f"{row['licence'] or ''}{gated}".rstrip()
    )


def list_weights(root: Path, config: Config) -> list[dict[str, Any]]:
    """One row per model and profile: name, revision, licence, present, and the cure if not."""
    from lr_edit.frozen.weights import pulled_weights

    rows, pulled = [], pulled_weights(root)
    chosen_first = sorted(config.profiles.items(), key=lambda item: item[0] != config.profile)
    for name, profile in chosen_first:
        for role, part in profile.roles.items():
            rows.append(
                {
                    "profile": name,
                    "role": role,
                    "name": part.name,
                    "revision": part.revision,
                    "licence": part.licence,
                    "gated": part.gated,
                    "present": locate(root, part.folder).is_dir()
                    if part.folder
                    else _cached(part, pulled.get(part.name, {})),
                    "cure": "dvc pull" if part.folder else f"lr-edit models pull --profile {name}",
                }
            )
    return rows


def pull(
    root: Path, config: Config, *, source: Path | None = None, say: Callable[[str], Any]
) -> Path:
    """Bring every hub model of the chosen profile into the hub's cache, or copy it there from a
    folder; returns the file that says what came. `say` gets sizes and licences before."""
    from lr_edit.frozen import hub

    models = _without_unused(config)
    if all(part.folder for part in models.roles.values()):
        raise UserError(f"the weights of {config.profile!r} are bundled: run `dvc pull`")
    wanted = hub.repositories(models)
    perceptual = models.judges.perceptual
    if perceptual and not perceptual.folder and not hub.repository("judge perceptual", perceptual):
        say(f"{perceptual.name}: not fetched, since torchvision keeps it as a pickle; "
            "`judges: {perceptual: {name: vgg}}` in the profile measures by another trunk, "
            "`perceptual: null` does without")  # fmt: skip
    if source:
        places = {one: hub.adopt(one, source) for one in wanted}
    else:
        offers = [hub.offer(one) for one in wanted]
        for line in hub.table(offers):
            say(line)
        places = {one.repository: hub.fetch(one) for one in offers}
    rows = {one: hub.record(one, place) for one, place in places.items()}
    found = {
        part.name: {"repository": one.name, **rows[one]}
        for role, part in models.roles.items()
        if not part.folder and (one := hub.repository(role, part))
    }
    path = checkout(root) / "weights" / f"{config.profile}.json"
    write_json(path, found)
    return path


def _without_unused(config: Config) -> Profile:
    """The profile without the models that no proposal set of the study asks for: a detector or an
    editor are gigabytes."""
    asked = {role for how in config.proposals.values() for role in NEEDED.get(how.boxes, ())}
    other = {role for roles in NEEDED.values() for role in roles} - asked
    return config.models.model_copy(update=dict.fromkeys(other))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing: make setup"


def _cached(part: Weights, pulled: dict[str, Any]) -> bool:
    """Whether the hub's local cache holds the model's repository; what was pulled names it."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = {repo.repo_id for repo in scan_cache_dir().repos}
    except CacheNotFound:
        return False
    return bool(repositories & {part.name, f"timm/{part.name}", pulled.get("repository")})


def damaged_objects(top: Path) -> list[Path]:
    """What DVC's cache and the bundled store hold under a name that is not its content's. DVC
    itself looks at neither: it would restore them in silence."""
    homes = (top / ".dvc/cache/files/md5", top / "dvcstore/files/md5")
    objects = [path for home in homes for path in sorted(home.rglob("*")) if path.is_file()]
    return [path for path in objects if _md5(path) != (path.parent.name + path.stem)]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.md5(usedforsecurity=False)
        ).hexdigest()  # fmt: skip


def _store(root: Path) -> str:
    """The default remote of .dvc/config, and whether it is there."""
    parser = configparser.ConfigParser()
    dvc = checkout(root) / ".dvc"
    parser.read(dvc / "config")
    name = parser.get("core", "remote", fallback=None)
    url = parser.get(f"'remote \"{name}\"'", "url", fallback=None)
    if not url:
        return "none: dvc remote add -d NAME URL"
    if "://" in url:
        return f"{name} at {url} (not tried)"
    there = (dvc / url).is_dir()
    return f"{name} at {url}, {'reachable' if there else 'missing: git checkout dvcstore'}"
