"""A study's params.yaml, over what the package says -> one frozen `Config`; unknown keys and
impossible values are a `UserError`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from lr_edit.errors import UserError, shorten, suggest_name
from lr_edit.profiles import (
    DEFAULTS,
    MOST,
    Count,
    Name,
    Profile,
    Template,
    check_tables,
    read_mapping,
    validate,
    with_defaults,
)  # fmt: skip
from lr_edit.profiles import Frozen as _Frozen
from lr_edit.proposal_set import Inpaint, ProposalSet, Propose
from lr_edit.types import Merit, Split
from lr_edit.variant import Ablation, Variant, check_row


class Score(_Frozen):
    """The scoring CLIP's view: 0 augmented views is the plain image."""

    views: int = Field(0, ge=0, le=1000)
    prompt: Template = "{}"
    source: Template = "{}"


class DatasetNet(_Frozen):
    """AnchorNets trained by studies/train: for each of `tasks` and `seeds`, blind and with text."""

    proposals: str
    tasks: tuple[Count, ...] = Field(min_length=1)
    seeds: Count
    steps: Count
    rate: float = Field(gt=0, le=MOST)
    weight_decay: float = Field(ge=0, le=MOST)
    batch: Count  # tasks per step


class Race(_Frozen):
    """How `lr-edit edit` uses its NFE (UNet evaluations) in a race, or on the top k boxes alone
    (`amortised`): previews, each by what it changes of `inpaint`, then full quality."""

    proposals: str = "dino"
    previews: tuple[Inpaint, ...] = ()
    budget: Count = 400
    entrants: Count | None = None  # only the top k boxes, where the profile has nets
    rank: Merit = "S"  # who goes on, and who wins


class Study(_Frozen):
    """Which tasks, and what every variant is compared with."""

    split: Split = "dev"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    baseline: str = "dino-random-size"
    resamples: Annotated[int, Field(ge=99, le=MOST)] = 9999  # fewer: `eval.statistics`


class Config(_Frozen):
    """Everything a run depends on."""

    profile: str
    study: Study = Study()
    propose: Propose
    inpaint: Inpaint
    score: Score
    proposals: dict[Name, ProposalSet]
    variants: dict[Name, Variant] = Field({})
    dataset_net: DatasetNet | None = None  # a study without one trains none
    race: Race
    amortised: Race
    ablations: dict[Name, dict[Name, Ablation]] = Field({})  # group -> rows, against the first
    profiles: dict[Name, Profile]
    titles: dict[str, dict[str, str]] = Field({})  # printed beside keys; in no cache key

    @property
    def models(self) -> Profile:
        """The chosen profile."""
        return self.profiles[self.profile]

    def variant(self, name: str) -> Variant:
        """A variant by name; UserError if there is none."""
        return _lookup(self.variants, name, "variant")

    def title_of(self, row: str, *, group: str = "rows") -> str:
        """A row's title in plain words: its group's, else the one for every table, else its key."""
        return self.titles.get(group, {}).get(row) or self.titles.get("rows", {}).get(row, row)

    def proposal_set(self, name: str) -> ProposalSet:
        """A proposal set by name; UserError if there is none."""
        return _lookup(self.proposals, name, "proposal set")


def load_config(path: Path | None = None, *, profile: str | None = None) -> Config:
    """Read a study's params.yaml, or, without one, what the package itself says.

    Args:
        path: A params.yaml; it states what it changes of lr_edit/profiles.yaml.
        profile: The frozen models to use instead of those that the file names.

    Returns:
        Everything a run depends on, checked.

    Raises:
        UserError: A file that is missing or not YAML, an unknown key, an impossible value.

    Example:
        >>> load_config(profile="sd2").race.budget
        300
    """
    return as_config(read_mapping(path) if path else {}, path=path or DEFAULTS, profile=profile)


def as_config(params: dict[str, Any], *, path: Path, profile: str | None = None) -> Config:
    """Parameters as params.yaml holds them; `path` is what errors name."""
    params = params | ({} if profile is None else {"profile": profile})
    try:
        if not isinstance(params.get("profile", ""), str):
            raise ValueError(f"parameter 'profile' must be a name, got {params['profile']!r}")
        check_tables(params)
        raw = _assemble(params)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    validate(_Base, {"base": {"proposals": "", **(params.get("base") or {})}}, where=str(path))
    config = validate(Config, raw, where=str(path))
    _lookup(config.profiles, config.profile, "profile")
    for name in config.profiles:
        _check_start(params | {"profile": name}, path)
    rows = [row for group in config.ablations.values() for row in group.values()]
    for place, name in _named_sets(config):
        if name not in config.proposals:
            said = suggest_name(name, config.proposals)
            part = place.partition(".")[0]
            if part not in params:  # the package says it
                said = f": a study without it says `{part}: {{proposals: NAME}}`"
            raise UserError(f"{path}: {place}: unknown proposal set {shorten(name)}{said}")
    _check_doubles(config, path)
    nets = [row.proposals for row in (*config.variants.values(), *rows) if row.choose == "net"]
    nets += [race.proposals for race in (config.race, config.amortised) if race.entrants]
    nets += [config.dataset_net.proposals] if config.dataset_net else []
    for name in nets:
        if not config.proposals[name].propose.features:
            raise UserError(f"{path}: nets read the features of {name!r}, and proposals.{name}."
                            "propose keeps none: it needs `features: true`")  # fmt: skip
    for name, row in config.variants.items():
        check_row(row, params["variants"][name], path=path, key=f"variants.{name}")
    for group, table in config.ablations.items():
        for name, ablation in table.items():
            own, key = params["ablations"][group][name], f"ablations.{group}.{name}"
            check_row(ablation, own, path=path, key=key)
            _check_part(ablation, config, path, key)
    if config.variants and (name := config.study.baseline) not in config.variants:
        said = suggest_name(name, config.variants)
        raise UserError(f"{path}: study.baseline: unknown variant {shorten(name)}{said}")
    return config


def _named_sets(config: Config) -> Iterator[tuple[str, str]]:
    """Where a proposal set is named, and its name."""
    tables: dict[str, Mapping[str, Variant]] = {"variants": config.variants}
    tables |= {f"ablations.{group}": rows for group, rows in config.ablations.items()}
    for table, rows in tables.items():
        for name, row in rows.items():
            yield f"{table}.{name}", row.proposals
            yield from ((f"{table}.{name}.previews", one) for one in getattr(row, "previews", ()))
    for part in ("race", "amortised", "dataset_net"):
        if rules := getattr(config, part):
            yield f"{part}.proposals", rules.proposals


def _check_doubles(config: Config, path: Path) -> None:
    """UserError for a list that names a thing twice: it would be inpainted, or counted, twice."""
    lists: dict[str, Sequence[Any]] = {
        f"proposals.{name}.propose.{key}": getattr(proposals.propose, key)
        for name, proposals in config.proposals.items()
        for key in ("sizes", "growths")
    } | {
        f"ablations.{group}.{name}.{key}": getattr(row, key) or ()
        for group, rows in config.ablations.items()
        for name, row in rows.items()
        for key in ("sizes", "previews")
    }
    lists["dataset_net.tasks"] = config.dataset_net.tasks if config.dataset_net else ()
    for key, values in lists.items():
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise UserError(f"{path}: parameter '{key}' names {shorten(twice)} more than once")


def _check_part(row: Ablation, config: Config, path: Path, key: str) -> None:
    """UserError for a row that asks for candidates that its proposal set never has."""
    points, sizes = config.proposals[row.proposals].most
    seen = (row.points or points) * len(row.sizes or range(sizes))
    wrong = {
        "points": (row.points or 0) > points,
        "sizes": max(row.sizes or (0,)) >= sizes,
        "top": (row.top or 0) > seen,
    }
    for name in (name for name, there in wrong.items() if there):
        raise UserError(
            f"{path}: parameter '{key}.{name}' is {getattr(row, name)}: the candidates of "
            f"{row.proposals!r} have at most {points} points of {sizes} sizes, counted from 0"
        )


def _assemble(params: dict[str, Any]) -> dict[str, Any]:
    """Every part with what it only states its difference from."""
    raw = with_defaults(params)
    base = raw.pop("base", None) or {}
    variants = raw.get("variants") or {}
    raw["variants"] = {name: {**base, **(row or {})} for name, row in variants.items()}
    parts = {part: raw[part] for part in ("propose", "inpaint")}
    raw["proposals"] = {
        name: row and {**row, **{k: {**v, **(row.get(k) or {})} for k, v in parts.items()}}
        for name, row in (raw.get("proposals") or {}).items()
    }
    for mode in ("race", "amortised"):
        previews = [{**parts["inpaint"], **one} for one in raw[mode].get("previews") or ()]
        raw[mode] = raw[mode] | {"previews": previews}
    raw["ablations"] = {
        group: {name: {**base, **(row or {})} for name, row in (rows or {}).items()}
        for group, rows in (raw.get("ablations") or {}).items()
    }
    return raw


class _Base(_Frozen):
    base: Variant


class _Start(_Frozen):
    """What a profile says of the parts that a study may leave to it."""

    inpaint: Inpaint
    race: Race
    amortised: Race


def _check_start(params: dict[str, Any], path: Path) -> None:
    """UserError where a profile, chosen or not, says what cannot be."""
    raw = _assemble(params)
    raw = {part: raw[part] for part in _Start.model_fields}
    validate(_Start, raw, where=f"{path}: with the profile {params['profile']!r}")


def _lookup(table: dict[str, Any], name: str, what: str) -> Any:
    if name not in table:
        raise UserError(f"unknown {what} {shorten(name)}{suggest_name(name, table)}")
    return table[name]
