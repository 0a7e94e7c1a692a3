"""The rows of a study's tables, for a viewer: what each is called, made of, and came to.

Numbers are reports/results.json's (race.csv's, of a study that is a race alone), parameters and
keys dvc.lock's, titles params.yaml's. All are committed: a clone shows every row of every study
without running one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lr_edit.errors import UserError
from lr_edit.files import read_csv, read_yaml
from lr_edit.tracking.lockfile import (
    Chain,
    Entry,
    ResultKeys,
    chain_from,
    read_lock,
    read_study,
)
from lr_edit.workspace.paths import checkout, reports_folder
from lr_edit.workspace.storage import content_key, read_json

VARIANTS = (
    "variants"  # the question that the main table answers; the others are `ablations`' groups
)
# Tables print these metrics times 10 to this power. A test holds it to the metrics' own registry.
POWERS = {
    "structure_distance": 3, "lpips": 3, "background_mse": 4, "background_ssim": 2,
    "clip_directional": 2, "clip_i": 2, "iou": 2, "hit": 2, "success_kind": 2, "success_colour": 2,
    "in_place": 2, "placed": 2, "gone": 2, "kept": 2, "success": 2, "success_1": 2, "success_2": 2,
    "success_3": 2, "retention": 2,
}  # fmt: skip
RACE, PREVIEWS = "race", "previews"  # what race.csv answers


@dataclass(frozen=True)
class Row:
    """One row of one table.

    question  `variants`, or the group of `ablations` that it stands in
    name      its key there, and `title` in plain words
    params    all that it was made with, dotted
    numbers   metric -> {mean, low, high, ...}, unscaled
    """

    question: str
    name: str
    title: str
    params: dict[str, Any]
    numbers: dict[str, dict[str, Any]]
    keys: ResultKeys
    chain: Chain

    @property
    def id(self) -> str:
        """Its name in the whole study: NAME of a variant, GROUP/NAME of another."""
        return self.name if self.question == VARIANTS else f"{self.question}/{self.name}"

    @property
    def metrics(self) -> dict[str, float]:
        """What has a value, scaled as in the tables; the ends of intervals are `_low`, `_high`."""
        found: dict[str, float] = {}
        for key, one in self.numbers.items():
            scale = 10 ** POWERS.get(key, 0)
            ends = {key: "mean", f"{key}_low": "low", f"{key}_high": "high"}
            found |= {
                name: one[end] * scale for name, end in ends.items() if one.get(end) is not None
            }
        return found


def read_rows(root: Path) -> list[Row]:
    """Every row of a study that has been run, in the order of params.yaml.

    Raises UserError where none was run, or results.json lacks one.
    """
    results = _read_numbers(reports_folder(root))
    lock, titles = read_lock(root / "dvc.lock"), read_titles(root)
    chains = read_study(root)
    rows = [
        Row(
            VARIANTS,
            chain.variant,
            _title(titles, "rows", chain.variant),
            _parameters(chain, chain.row),
            _numbers(results, VARIANTS, name=chain.variant),
            chain.keys,
            chain,
        )
        for chain in chains
    ]
    return [*rows, *_ablations(lock, titles, results), *_previews(lock, titles, results)]


def read_titles(root: Path) -> dict[str, dict[str, str]]:
    """`titles` of params.yaml: words alone, which no key depends on."""
    return read_yaml(root / "params.yaml").get("titles") or {}


def other_studies(root: Path) -> list[Path]:
    """The studies of a checkout that have committed rows, but for its own; none below a study."""
    found = sorted(root.glob("studies/*/dvc.lock")) if checkout(root) == root else []
    return [one.parent for one in found if _has_numbers(reports_folder(one.parent))]


def _has_numbers(reports: Path) -> bool:
    return any((reports / name).is_file() for name in ("results.json", "race.csv"))


def _read_numbers(reports: Path) -> dict[str, Any]:
    """Question -> row -> metric -> its mean and interval; UserError where nothing came out yet."""
    if (reports / "results.json").is_file() or not _has_numbers(reports):
        return read_json(reports / "results.json")
    groups: dict[str, dict[str, dict[str, Any]]] = {RACE: {}, PREVIEWS: {}}
    for _, line in read_csv(reports / "race.csv")[1]:
        group = PREVIEWS if line["measure"] == "correlation" else RACE
        row = groups[group].setdefault(line["name"], {})
        ends = {"mean": line["value"], "low": line["low"], "high": line["high"]}
        row[line["measure"]] = {end: float(text) for end, text in ends.items() if text}
        if line["nfe"]:
            row["nfe"] = {"mean": float(line["nfe"])}
    return {"ablations": groups}


def _previews(
    lock: Mapping[str, Entry], titles: dict[str, dict[str, str]], results: dict[str, Any]
) -> Iterator[Row]:
    """The proposal sets by which a race looks first."""
    for name, numbers in results.get("ablations", {}).get(PREVIEWS, {}).items():
        chain = chain_from(lock, f"{PREVIEWS}/{name}", last=[f"candidates@{name}"])
        keys = ResultKeys(chain.keys.input, content_key(numbers))
        params = _parameters(chain, {"proposals": name})
        yield Row(PREVIEWS, name, _title(titles, PREVIEWS, name), params, numbers, keys, chain)


def _ablations(
    lock: Mapping[str, Entry], titles: dict[str, dict[str, str]], results: dict[str, Any]
) -> Iterator[Row]:
    """The rows that `ablate` chose from the candidates of all."""
    if "ablate" not in lock or not results.get("ablations"):
        return
    params = lock["ablate"].params.get("params.yaml", {})
    for group, rows in (params.get("ablations") or {}).items():
        for name, own in rows.items():
            row = {**(params.get("base") or {}), **own}
            numbers = _numbers(results["ablations"], group, name=name)
            chain = _chain(lock, f"{group}/{name}", row=row)
            # What the other rows are is nothing to this one, and the numbers are all that it made.
            keys = ResultKeys(content_key([chain.keys.input, row]), content_key(numbers))
            title = _title(titles, group, name)
            yield Row(group, name, title, _parameters(chain, row), numbers, keys, chain)


def _title(titles: dict[str, dict[str, str]], group: str, name: str) -> str:
    return titles.get(group, {}).get(name) or titles.get("rows", {}).get(name, name)


def _chain(lock: Mapping[str, Entry], name: str, *, row: dict[str, Any]) -> Chain:
    """The stages behind the candidates that a row chose from, and `ablate` without other rows."""
    sets = [*row.get("previews", []), row["proposals"]]
    stages = [f"{stage}@{one}" for one in sets for stage in ("candidates", "judge")]
    made = chain_from(lock, name, last=[stage for stage in stages if stage in lock])
    ablate = lock["ablate"]
    params = {
        file: {key: value for key, value in rows.items() if key != "ablations"}
        for file, rows in ablate.params.items()
    }
    code = tuple(one for one in ablate.deps if not one.path.startswith("artifacts/"))
    return Chain(name, (*made.entries, replace(ablate, params=params, deps=code, outs=())))


def _numbers(results: dict[str, Any], group: str, *, name: str) -> dict[str, dict[str, Any]]:
    try:
        return results[group][name]
    except KeyError:
        raise UserError(
            f"reports/results.json has no row {name!r} of {group}: run `dvc repro` first"
        ) from None


def _parameters(chain: Chain, row: dict[str, Any]) -> dict[str, Any]:
    """All that a row depends on, dotted; the profile's own values are those that nobody changed."""
    params = chain.params
    study, chosen = params.get("study") or {}, row.get("proposals")
    proposals = (params.get("proposals") or {}).get(chosen) or {}
    profile = (params.get("profiles") or {}).get(params.get("profile")) or {}
    shared = {
        part: {**(profile.get(part) or {}), **(params.get(part) or {}), **proposals.get(part, {})}
        for part in ("propose", "inpaint", "score")
    }
    rules = {key: value for key, value in proposals.items() if key not in shared}
    read = {dep.path: dep.md5 for entry in chain.entries for dep in entry.deps}
    inputs = {path: md5 for path, md5 in read.items() if path.split("/")[0] in _INPUTS}
    return _dotted(
        {"profile": params.get("profile"), "split": study.get("split"), "seed": study.get("seed")}
        | row | {"proposals": chosen, "proposal": rules} | shared | {"digest": inputs}
    )  # fmt: skip


_INPUTS = ("data", "models", "weights")


def _dotted(nested: dict[str, Any], above: str = "") -> dict[str, Any]:
    """{a: {b: 1}} -> {a.b: 1}; what is None or empty is nothing."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _dotted(value, f"{above}{key}.")
        elif value is not None:
            flat[f"{above}{key}"] = value
    return flat
