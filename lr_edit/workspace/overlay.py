"""A study's differences from the checkout's own -> studies/NAME/, a folder that DVC runs like it.

`studies/NAME.yaml` is laid over params.yaml: mappings merge, a null removes a row, and `only: [a]`
in a table keeps these of its rows (`only: []`: the table starts anew). dvc.yaml is the checkout's
own, seen from the folder: its artifacts lie there, its reports in reports/NAME/, and code, data and
weights where they are. A study without variants inpaints; what then is made of its candidates is in
lr_edit/stages/extra.yaml.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from lr_edit.config import Config, as_config
from lr_edit.errors import UserError, shorten, suggest_name
from lr_edit.files import read_text, read_yaml
from lr_edit.profiles import NEEDED, Profile, lay_profiles
from lr_edit.workspace.paths import locate
from lr_edit.workspace.storage import atomic_write, content_key, find_tasks

EXTRA = "lr_edit/stages/extra.yaml"  # stages that not every study has
HEADER = "# Written by `lr-edit study {name}` from params.yaml, dvc.yaml and what it was given.\n"
BELOW = "# Digest of what stands below, by which a change by hand is known: "


def write_study(
    top: Path, name: str, *, profile: str | None = None, data: Path | None = None
) -> Path:
    """Write the study's params.yaml and dvc.yaml below a checkout; returns the folder."""
    folder = top / "studies" / name
    for file, text in study_files(top, name, profile=profile, data=data).items():
        _check_ours(folder / file, name)
        with atomic_write(folder / file) as part:
            part.write_text(text, encoding="utf-8")
    return folder


def _check_ours(path: Path, name: str) -> None:
    """UserError for a file that a person wrote, or changed."""
    if not path.is_file():
        return
    head, _, body = read_text(path).partition(BELOW)
    ours = head.startswith(HEADER.split("{")[0])
    if not ours or (body and body.partition("\n")[0] != _digest(body.partition("\n")[2])):
        raise UserError(
            f"{path} was {'changed' if ours else 'written'} by hand: say in studies/{name}.yaml "
            "what the study changes, and move that file away"
        )


def _digest(body: str) -> str:
    return content_key(body.encode())[:16]


def study_files(
    top: Path, name: str, *, profile: str | None = None, data: Path | None = None
) -> dict[str, str]:
    """The same as texts, by file name. UserError for a name, key or row that cannot be."""
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"a study's name holds letters, digits, '-' and '_' alone, got {name!r}")
    pipeline = read_yaml(top / "dvc.yaml")["stages"]
    if name.casefold() in _taken(pipeline):
        raise UserError(
            f"reports/{name} is the checkout's own: call the study, and a folder of photos that it "
            "is named after, otherwise"
        )
    folder, overlay = top / "studies" / name, top / "studies" / f"{name}.yaml"
    if not (overlay.is_file() or profile is not None or data):
        known = [path.stem for path in overlay.parent.glob("*.yaml")]
        raise UserError(
            f"there is no studies/{name}.yaml{suggest_name(name, known) if known else ''}: "
            "write one, or pass --profile or --data"
        )
    params = read_yaml(top / "params.yaml")
    if overlay.is_file():
        laid = read_yaml(overlay)
        profiles = lay_profiles(params.get("profiles") or {}, laid.pop("profiles", None) or {})
        params = apply_overlay(params, laid, where=str(overlay)) | {"profiles": profiles}
        for table in ("variants", "ablations", "proposals"):
            params.setdefault(table, {})  # a null has removed it
    params |= {} if profile is None else {"profile": profile}
    config = as_config(params, path=overlay)
    if config.models.anchor_net is None:
        params["ablations"] = _without_nets(params["ablations"])
    params = _without_models(params, config.models)
    params = _without_truth(params, config.models, data or locate(top, config.models.data))
    params = _with_data(params, config.profile, folder=folder, data=data) if data else params
    config = as_config(params, path=overlay)
    before = as_config(read_yaml(top / "params.yaml"), path=top / "params.yaml")
    stages = _stages(pipeline, read_yaml(top / EXTRA), config)
    own = _pipeline(stages, top, name, before=before, config=config)
    files = {}
    for file, value in (("params.yaml", params), ("dvc.yaml", own)):
        body = yaml.safe_dump(value, sort_keys=False, width=100)
        files[file] = f"{HEADER.format(name=name)}{BELOW}{_digest(body)}\n{body}"
    return files


def _taken(stages: dict[str, Any]) -> set[str]:
    """What lies in the checkout's own reports, where a study's reports would lie too."""
    recipes = [stage.get("do", stage) for stage in stages.values()]
    outs = [
        out for one in recipes for key in ("outs", "metrics", "plots") for out in one.get(key, [])
    ]
    paths = [PurePosixPath(next(iter(out)) if isinstance(out, dict) else out) for out in outs]
    return {path.parts[1].casefold() for path in paths if path.parts[0] == "reports"}


def apply_overlay(table: dict[str, Any], overlay: dict[str, Any], *, where: str) -> dict[str, Any]:
    """The table with an overlay's differences; `where` names the overlay in errors."""
    kept = overlay.get("only", list(table))
    if not isinstance(kept, list):
        raise UserError(f"{where}: `only` must be a list of names, got {shorten(kept)}")
    for name in (*kept, *(name for name, value in overlay.items() if value is None)):
        if name not in [*table]:  # a name may be no text, nor a key at all
            said = suggest_name(str(name), map(str, table))
            raise UserError(f"{where}: there is no {name!r} to keep or remove{said}")
    rows = {name: value for name, value in table.items() if name in kept}
    for name, value in overlay.items():
        if isinstance(value, dict):
            old = rows.get(name)
            if name not in table and ("only" in value or None in value.values()):
                raise UserError(
                    f"{where}: there is no {name!r} to change{suggest_name(str(name), table)}"
                )
            rows[name] = apply_overlay(old if isinstance(old, dict) else {}, value, where=where)
        elif value is None:
            rows.pop(name, None)
        elif name != "only":
            rows[name] = value
    return rows


def _without_nets(ablations: dict[str, Any]) -> dict[str, Any]:
    """The rows that need no dataset-level net: the profile has none."""
    return {
        group: {name: row for name, row in rows.items() if row.get("scope") != "dataset"}
        for group, rows in ablations.items()
    }


def _with_data(params: dict[str, Any], profile: str, *, folder: Path, data: Path) -> dict[str, Any]:
    """The data as seen from the study's folder: `photos` alone would be studies/photos/, where the
    study has that name."""
    place = data.resolve()
    if not place.is_dir():
        raise UserError(f"{data} is no folder: --data names one with images and their tasks")
    inside = place.is_relative_to(folder.parent.parent)
    seen = Path(os.path.relpath(place, folder)) if inside else place
    where = {profile: {"data": seen.as_posix()}}
    return params | {"profiles": lay_profiles(params["profiles"], where)}


def _without_truth(params: dict[str, Any], profile: Profile, data: Path) -> dict[str, Any]:
    """Photos seldom know where the edit belongs: rows on true boxes are left out where one does
    not.

    Data that is not here yet is taken for photos' where the profile is for photos.
    """
    if not data.is_dir():
        known = profile.world == "picturebook"
    else:
        known = all(task.truth for task in find_tasks(data))
    return params if known else _without_boxes(params, {"truth"})


def _without_models(params: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """The rows on boxes of models that the profile has."""
    return _without_boxes(
        params, {boxes for boxes, roles in NEEDED.items() if not {*roles} <= profile.roles.keys()}
    )


def _without_boxes(params: dict[str, Any], boxes: set[str]) -> dict[str, Any]:
    """The proposal sets of other boxes, and the rows on them."""
    sets = {name: row for name, row in params["proposals"].items() if row["boxes"] not in boxes}

    def rows(table: dict[str, Any]) -> dict[str, Any]:
        return {name: row for name, row in table.items() if row["proposals"] in sets}

    groups = {group: rows(table) for group, table in params["ablations"].items()}
    own = {"proposals": sets, "variants": rows(params["variants"]), "ablations": groups}
    return params | own


def _stages(own: dict[str, Any], extra: dict[str, Any], config: Config) -> dict[str, Any]:
    """The stages that a study has: all of the checkout's own, or, without variants, inpainting
    and what is then made of it."""
    if config.variants:
        return own
    names = ["prepare", "candidates"]
    names += ["ablate"] if config.ablations else []
    names += ["race"] if "race" in config.ablations else []
    names += ["amortise"] if config.study.split == "train" else []
    return {name: {**own, **extra}[name] for name in names}


def _pipeline(
    stages: dict[str, Any], top: Path, name: str, *, before: Config, config: Config
) -> dict[str, Any]:
    """dvc.yaml with every path as seen from the study's folder."""

    pulled = f"weights/{config.profile}.json"  # what `lr-edit models pull` wrote down

    def seen(path: str) -> Iterator[str]:
        for one in _replaced(path, before.models, config.models, pulled=pulled):
            if one != pulled or (top / pulled).is_file():
                yield _seen_from(top, name, one)

    return {"stages": {stage: _moved(recipe, seen) for stage, recipe in stages.items()}}


def _replaced(path: str, before: Profile, after: Profile, *, pulled: str) -> list[str]:
    """What another profile has in a path's place: its data, or the folders of the same models;
    `pulled` stands for the hub's."""
    if path == before.data:
        return [after.data]
    roles = [
        role for role, old in before.roles.items() if old.folder and _is_below(old.folder, path)
    ]
    if not roles:
        return [path]
    new = [after.roles[role].folder or pulled for role in roles if role in after.roles]
    return [path] if new and all(_is_below(one, path) for one in new) else new


def _is_below(path: str, folder: str) -> bool:
    """Whether a path is the folder or lies in it."""
    return PurePosixPath(path).is_relative_to(folder)


def _seen_from(top: Path, name: str, path: str) -> str:
    first, *rest = PurePosixPath(path).parts
    if first in ("artifacts", "..") or PurePosixPath(path).is_absolute():
        return path  # as the study sees it
    if first == "reports":
        path = "/".join(("reports", name, *rest))
    return Path(os.path.relpath(top / path, top / "studies" / name)).as_posix()


def _moved(recipe: dict[str, Any], seen: Any) -> dict[str, Any]:
    """A stage, or what its `foreach` does, with other paths."""
    if "do" in recipe:
        return {**recipe, "do": _moved(recipe["do"], seen)}
    moved: dict[str, list[Any]] = {}
    for key in ("deps", "outs", "metrics", "plots"):
        if key in recipe:
            rows = list(_paths(recipe[key], seen))
            moved[key] = rows if key == "deps" else list(_uncached(rows))
    if "params" in recipe:  # a text names a parameter of the study's own file, a mapping a file
        own = [entry for entry in recipe["params"] if isinstance(entry, str)]
        files = [entry for entry in recipe["params"] if not isinstance(entry, str)]
        moved["params"] = [*own, *_paths(files, seen)]
    return recipe | moved


def _uncached(entries: Iterable[str | dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Outputs that DVC does not keep: `dvc pull` fetches the checkout's own study alone."""
    for entry in entries:
        path, how = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
        yield {path: {**how, "cache": False}}


def _paths(entries: Iterable[str | dict[str, Any]], seen: Any) -> Iterator[str | dict[str, Any]]:
    """Each path, and what is said about it, where it is seen; none twice."""
    given: set[str] = set()
    for entry in entries:
        path, how = next(iter(entry.items())) if isinstance(entry, dict) else (entry, None)
        for moved in seen(path):
            if moved not in given:
                given.add(moved)
                yield {moved: how} if how else moved
