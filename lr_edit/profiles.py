"""profiles.yaml: sets of frozen models with what they need to do well, and what every study starts
from. A study's params.yaml may add profiles, and change values of these."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from lr_edit.errors import UserError, describe_error, shorten
from lr_edit.files import is_plain_name, read_yaml

DEFAULTS = Path(__file__).with_name("profiles.yaml")
LOCAL = "local-dir:"  # a folder of weights; timm and open_clip know this prefix

M = TypeVar("M", bound=BaseModel)
MOST = 10**6  # of anything that is counted: a number beyond it is a slip


def _plain_name(name: str) -> str:
    if not is_plain_name(name):  # folders are named after it
        raise ValueError("a name may hold letters, digits, '-', '_', '.' only, 200 bytes at most")
    return name


def _one_place(template: str) -> str:
    if template.count("{}") != 1 or set(template.replace("{}", "")) & set("{}"):
        raise ValueError("a template holds {} once, where the words go, and no other brace")
    return template


Name = Annotated[str, AfterValidator(_plain_name)]
Template = Annotated[str, AfterValidator(_one_place)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Index = Annotated[int, Field(ge=0, le=MOST)]
Share = Annotated[float, Field(gt=0, le=1)]  # of the image's side


class Frozen(BaseModel):
    """What every part of a configuration is: unchangeable, and of known keys alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _is_no_yes(cls, values: Any) -> Any:
        """`yes` is no number, though Python counts with it."""
        for name, value in values.items() if isinstance(values, dict) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field and "bool" not in str(field.annotation):
                raise ValueError(f"`{name}` is no yes or no, got {value}")
        return values


class Weights(Frozen):
    """Where a frozen model comes from: a hub id, a timm name, or `local-dir:` below the root."""

    name: str
    pretrained: str | None = None
    revision: str | None = None
    variant: str | None = None
    licence: str | None = None
    gated: bool = False  # the hub wants the licence accepted first
    pipeline: str | None = None  # an inpainter's class, in place of what model_index.json names

    @property
    def folder(self) -> str | None:
        """The folder of `local-dir:FOLDER`; None for a hub's model."""
        return self.name.removeprefix(LOCAL) if self.name.startswith(LOCAL) else None


class Memory(Frozen):
    """How an inpainter fits a device's memory, and how fast it runs there."""

    offload: Literal["auto", "none", "model", "group"] = "auto"  # to the CPU, what does not compute
    tiling: bool | None = None  # decode pictures in tiles, one by one; None: where offloading
    quantise: Literal["none", "int8", "nf4"] = "none"  # the transformer and its largest reader
    compile: bool = False  # the blocks that repeat, for any batch

    @property
    def moves(self) -> dict[str, Any]:
        """What of it moves values, and is part of a result's key."""
        return {
            name: getattr(self, name)
            for name in ("tiling", "quantise", "compile")
            if getattr(self, name) != type(self).model_fields[name].default
        }


class Judges(Frozen):
    """The networks that measure. None of them takes part in choosing."""

    clip: Weights
    structure: Weights
    perceptual: Weights | None = None
    labels: Weights | None = None


class Profile(Frozen):
    """One set of frozen models and the sizes they work at, in pixels."""

    data: str = Field(min_length=1)
    side: int = Field(ge=8, le=2**13)
    cell: int = Field(ge=1, le=2**10)  # pixels a latent cell
    attention_side: int = Field(ge=8, le=2**13)  # side at which the anchor model sees the image
    anchors: Weights
    clip: Weights
    inpainter: Weights
    memory: Memory = Memory()
    tiny_vae: Weights | None = None  # an AutoencoderTiny for previews
    anchor_net: Weights | None = None  # dataset-level nets: what the stage `amortise` makes
    detector: Weights | None = None  # finds boxes by words: `anchors: detector`
    segmenter: Weights | None = None  # finds outlines in them: `boxes: segmented`
    editor: Weights | None = None  # edits the whole picture by an instruction: `anchors: whole`
    judges: Judges
    inpaint: dict[str, Any] = {}  # what the parts of these names start from: `with_defaults`
    race: dict[str, Any] = {}
    amortised: dict[str, Any] = {}
    sure: float = Field(0.25, ge=0, le=1)  # score below which the detector found no words
    found: float = Field(0.0, ge=0, le=2)  # largest drop below which grounding found no words
    grounded: int = Field(160, ge=1)  # NFE of an edit in grounded boxes
    world: Literal["picturebook", "photos"] = "photos"

    @model_validator(mode="after")
    def _is_of_whole_cells(self) -> Profile:
        if self.side % self.cell:
            raise ValueError(f"side {self.side} is no multiple of cell {self.cell}")
        return self

    def with_memory(self, changes: Mapping[str, Any]) -> Profile:
        """The profile with other values of `memory`; UserError for what cannot be."""
        if not isinstance(changes, Mapping):
            raise UserError(f"memory {shorten(changes)}: give a dict, as {{'offload': 'none'}}")
        try:
            memory = Memory.model_validate({**self.memory.model_dump(), **changes})
        except ValidationError as error:
            raise UserError(f"memory: {describe_error(error, Memory)}") from None
        return self.model_copy(update={"memory": memory})

    def model(self, role: str) -> Weights:
        """The model of a role that a profile may lack; UserError where this one does."""
        if (found := self.roles.get(role)) is None:
            raise UserError(f"the profile names no `{role}`: add one, or drop the rows that use it")
        return found

    @property
    def roles(self) -> dict[str, Weights]:
        """Every model by its role."""
        own = ("anchors", "clip", "inpainter", "tiny_vae", "anchor_net", "detector", "segmenter",
               "editor")  # fmt: skip
        named = {role.replace("_", " "): getattr(self, role) for role in own}
        named |= {f"judge {role}": part for role, part in self.judges}
        return {role: part for role, part in named.items() if part is not None}


# The models that a proposal set's boxes need beside everybody's.
NEEDED = {
    "detected": ("detector",),
    "segmented": ("detector", "segmenter"),
    "whole": ("editor",),
}
# Which parts are tables, or lists of them, since others are laid over them: "*" is any name.
_RACE: dict[str, Any] = {"previews": [{}]}
_PARTS: dict[str, Any] = {"inpaint": {}, "race": _RACE, "amortised": _RACE}
_ROW: dict[str, Any] = {"losses": {"*": float}}
_TABLES: dict[str, Any] = {
    **_PARTS, "study": {}, "base": _ROW, "propose": {}, "score": {}, "variants": {"*": _ROW},
    "proposals": {"*": {"propose": {}, "inpaint": {}}}, "ablations": {"*": {"*": _ROW}},
    "profiles": {"*": {**_PARTS, "judges": {}, "memory": {}}},
}  # fmt: skip


def check_tables(value: Any, shape: Any = _TABLES, *, where: str = "") -> None:
    """ValueError where a part of the parameters is not the table, or the list of tables, that it
    has to be."""
    if shape is float:
        if isinstance(value, bool | str):  # which would be taken for 1 and for what it spells
            raise ValueError(f"parameter {where!r} must be a number, got {shorten(value)}")
        return
    kind, said = (list, "a list of tables") if isinstance(shape, list) else (dict, "a table")
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"parameter {where!r} must be {said}, got {shorten(value)}")
    value = value or {}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in parts:
        inner = shape[0] if kind is list else shape.get(name, shape.get("*"))
        if inner is not None:
            check_tables(part, inner, where=f"{where}.{name}".removeprefix("."))


def validate(model: type[M], values: dict[str, Any], *, where: str) -> M:
    """The values as a model; UserError, which begins with `where`, for the first that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {describe_error(error, model, also=('base',))}") from None


def lay_profiles(table: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Profiles with a study's differences: new ones, and other values of some keys.

    What says how a profile works is merged, a model is replaced as a whole: a revision belongs to
    one name.
    """
    rows = dict(table)
    for name, row in own.items():
        old, row = rows.get(name) or {}, row or {}
        merged = {
            key: {**old[key], **row[key]}
            for key in ("inpaint", "race", "amortised", "judges", "memory")
            if isinstance(old.get(key), dict) and isinstance(row.get(key), dict)
        }
        rows[name] = {**old, **row, **merged}
    return rows


def with_defaults(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters over the package's own, and over what their profile says of each part."""
    known = deepcopy(_shipped())
    raw = known | params
    raw["profiles"] = lay_profiles(known["profiles"], params.get("profiles") or {})
    profile = raw["profiles"].get(raw["profile"]) or {}
    for part in ("propose", "score"):
        raw[part] = {**known[part], **(params.get(part) or {})}
    for part in ("inpaint", "race", "amortised"):
        raw[part] = {**(profile.get(part) or {}), **(params.get(part) or {})}
    return raw


@cache
def _shipped() -> dict[str, Any]:
    """The package's own parameters: every profile of a study is checked over them."""
    return read_mapping(DEFAULTS)


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; UserError for anything else."""
    return read_yaml(path, cure="name a study's params.yaml")
