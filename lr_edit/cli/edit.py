"""`lr-edit edit`: files in, `Editor`, files out. All that can be wrong in what was typed is said
before a model is loaded."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import click
from PIL import Image

from lr_edit.cli.console import WORDS, find_config, say, show, show_share
from lr_edit.errors import Unfinished, UserError
from lr_edit.execution.environment import pin_environment
from lr_edit.request import CROPS, MODES, Request, as_box, check_picture, is_foreign, read_picture
from lr_edit.result import FORMATS, EditResult, check_output, save_picture
from lr_edit.types import Box
from lr_edit.workspace.inert import show_text
from lr_edit.workspace.paths import find_weights


@dataclass(frozen=True)
class Outputs:
    """Where the edits of one image go, the best first, and the picture of its boxes; `named` where
    the user named the file, who is given no other."""

    edits: tuple[Path, ...]
    boxes: Path | None
    named: bool = False


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option("--source", type=WORDS, required=True, help='What is edited: "a red boat".')
@click.option("--prompt", type=WORDS, required=True, help='The result: "a blue fish on sand".')
@click.option("--output", "-o", help="A file, its suffix says how it is written (.png, .jpg, "
              ".webp), or a folder. Default: IMAGE.edit.png, or IMAGE.edit-2.png.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the file that --output names.")
@click.option("--mode", type=click.Choice(MODES), default="detected", show_default=True,
              help="Where a detector finds the source words, or, without one, as the next; where "
              "CLIP finds them; previews first; every box; the most probable boxes; the paper's "
              "procedure.")  # fmt: skip
@click.option("--budget", type=click.IntRange(1), help="UNet evaluations (NFE) at most.")
@click.option("--rank", type=click.Choice(["S", "loss"]), help="What the best is best by.")
@click.option("--box", "boxes", multiple=True, metavar="L,T,R,B",
              help="Edit in this box, in pixels; of several the best wins.")  # fmt: skip
@click.option("--mask", help="A picture as large as the image: edit where it is white.")
@click.option("--crop", type=click.Choice(CROPS),
              help="Inpaint each box in a square of the image about it, or in the whole image. "
              "Default: context where the image is larger than the models see.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of the starting noise.")  # fmt: skip
@click.option("--n", "count", type=click.IntRange(1), default=1, show_default=True,
              help="Write the best so many.")  # fmt: skip
@click.option("--show-boxes", is_flag=True, help="Also write a picture of the boxes.")
@click.option("--device", help="cpu, cuda, cuda:1. Default: a GPU if there is one.")
@click.option("--memory", multiple=True, metavar="KEY=VALUE",
              help="offload=model, tiling=true, quantise=int8, compile=true; default: "
              "what fits.")  # fmt: skip
@click.option("--force", is_flag=True, help="Let picture-book weights edit what is no drawing.")
@click.option("--json", "as_json", is_flag=True, help="Print a line for each image for a program.")
@click.pass_context
def edit(
    context: click.Context, images: tuple[str, ...], *, source: str, prompt: str,
    output: str | None, overwrite: bool, mode: Any, budget: int | None, rank: Any,
    boxes: tuple[str, ...], mask: str | None, crop: Any, seed: int, count: int, show_boxes: bool,
    device: str | None, memory: tuple[str, ...], force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Edit images from text alone; the models load once. `--profile sd2` names other models than
    those of the drawn world."""
    own = tuple(map(_parse_box, boxes)) or None
    how: dict[str, Any] = {
        "mode": mode, "budget": budget, "rank": rank, "boxes": own, "mask": mask, "seed": seed,
        "crop": crop,
    }  # fmt: skip
    request = Request(source, prompt, **how)
    root, config = find_config(context)
    changes = dict(map(parse_memory, memory))
    config.models.with_memory(changes)
    for name in images:
        picture = read_picture(name)
        check_picture(picture, request, profile=config.models, force=force)
        if is_foreign(picture, config.models):
            say(f"{name}: picture-book weights know drawings alone: what comes out of --force "
                "shows that the command works, and is no edit of a photo")  # fmt: skip
    plan = plan_outputs(
        [Path(name) for name in images],
        output=output, count=count, boxes=show_boxes, overwrite=overwrite,
    )  # fmt: skip
    _check_mask(mask, plan)
    weights, params = find_weights(config.models, start=root), root / "params.yaml"
    pin_environment()
    from lr_edit.editor import Editor

    study = params if params.is_file() else None
    editor = Editor.from_profile(
        config.profile, device=device, root=weights, study=study, memory=changes
    )
    failed: dict[str, list[str]] = {}
    refused, done = False, 0
    for name, outputs in zip(images, plan, strict=True):
        try:
            with show_share(name) as callback:
                result = editor(
                    name, source=source, prompt=prompt, **how, force=force, callback=callback
                )
        except KeyboardInterrupt as stop:
            stop.add_note(f"{done} of {len(images)} images are edited; name the others to go on")
            raise
        except (Unfinished, UserError) as error:  # the others are edited all the same
            failed.setdefault(str(error), []).append(show_text(name))
            refused = refused or isinstance(error, UserError)
            continue
        written = write_outputs(result, outputs, overwrite=overwrite)
        done += 1
        _say_how_many(name, result, count)
        show(json.dumps(as_row(result, written)) if as_json else _as_line(result, written))
    if failed:
        alone = len(images) == 1
        said = "; ".join(why if alone else f"{', '.join(names)}: {why}"
                         for why, names in failed.items())  # fmt: skip
        raise (UserError if refused else Unfinished)(said)


def _say_how_many(name: str, result: EditResult, count: int) -> None:
    if (made := len(result.candidates)) < count:
        more = "a larger --budget, or " * (result.mode == "detected")
        how = f"{more}--mode enumerate makes more"
        if result.mode == "enumerate":
            how = "every box has one, more boxes have more"
        say(f"{show_text(name)}: {made} of the {count} that were asked for: no more candidates "
            f"were made; {how}")  # fmt: skip


def _check_mask(mask: str | None, plan: list[Outputs]) -> None:
    """UserError where the mask's own file would be written."""
    for path in (path for one in plan for path in (*one.edits, one.boxes) if path and mask):
        if path.exists() and Path(str(mask)).exists() and path.samefile(str(mask)):
            raise UserError(f"{path} is the mask: write the edit somewhere else")


def plan_outputs(
    images: list[Path], *, output: str | None, count: int, boxes: bool, overwrite: bool
) -> list[Outputs]:
    """A name for every picture that will be written; none is there yet, none is named twice.

    Raises UserError for a place that cannot be written, and for one file where many will be.
    """
    if output is not None and not output.strip():
        raise UserError("--output is empty: name a file or a folder, or leave it out")
    named = Path(output) if output else None
    ends_as_folder = (output or "").endswith(("/", "\\"))
    if named and named.suffix.lower() in FORMATS and not named.is_dir() and not ends_as_folder:
        if len(images) * count > 1:
            raise UserError(
                f"--output {output} is one file, and {len(images) * count} pictures will be "
                "written: name a folder"
            )
        check_output(named, source=images[0], overwrite=overwrite)
        beside = next(_free_names(named.parent, f"{named.stem}.boxes", {named}))
        return [Outputs((named,), beside if boxes else None, named=True)]
    if overwrite:
        raise UserError("--overwrite is for the one file that --output names: name it, or leave "
                        "--overwrite out")  # fmt: skip
    pictures = Image.registered_extensions()
    if named and named.suffix.lower() in pictures and not named.is_dir() and not ends_as_folder:
        check_output(named)  # a picture of a kind that is not written: no folder is meant
    if named and named.suffix and not named.is_dir() and not ends_as_folder:
        raise UserError(
            f"--output {output}: a picture's name ends in one of {', '.join(FORMATS)}, and that "
            "of a new folder that has a dot in /"
        )
    taken: set[Path] = set()
    return [_plan(image, named or image.parent, count, boxes, taken) for image in images]


def _plan(image: Path, folder: Path, count: int, boxes: bool, taken: set[Path]) -> Outputs:
    edits: list[Path] = []
    names = _free_names(folder, f"{image.stem}.edit", taken)
    while len(edits) < count:
        edits.append(next(names))
    check_output(edits[0], source=image)
    beside = next(_free_names(folder, f"{image.stem}.boxes", taken)) if boxes else None
    return Outputs(tuple(edits), beside)


def _free_names(folder: Path, stem: str, taken: set[Path]) -> Iterator[Path]:
    """STEM.png, STEM-2.png and so on, whatever is neither there nor taken; each is taken then."""
    number = 1
    while True:
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}.png"
        if path not in taken and not (path.exists() or path.is_symlink()):
            taken.add(path)
            yield path
        number += 1


def write_outputs(result: EditResult, outputs: Outputs, *, overwrite: bool) -> list[Path]:
    """Write the best candidates and the picture of the boxes; returns what was written."""
    written = []
    for one, path in zip(result.candidates, outputs.edits, strict=False):
        if outputs.named:
            save_picture(one.image, path, source=result.path, overwrite=overwrite)
            written.append(path)
        else:
            written.append(_save_beside(one.image, path))
    if outputs.boxes:
        written.append(_save_beside(result.draw_boxes(), outputs.boxes))
    return written


def _save_beside(picture: Image.Image, path: Path) -> Path:
    """Write under a name of ours, or the next one, where another command took it meanwhile."""
    stem = re.sub(r"-\d+$", "", path.stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in chain([path.name], (f"{stem}-{number}{path.suffix}" for number in count(2))):
        with suppress(FileExistsError):
            place = path.with_name(name)
            place.touch(exist_ok=False)  # taken, before anybody else finds it free
            break
    try:
        return save_picture(picture, place, overwrite=True)
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def as_row(result: EditResult, written: list[Path]) -> dict[str, Any]:
    """The result for a program: JSON has no NaN, so what could not be scored is null."""

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    rows = [
        {"box": one.box.as_tuple(), "score": number(one.score), "loss": number(one.loss)}
        for one in result.candidates
    ]
    return {
        "image": str(result.path),
        "written": [str(path) for path in written],
        **{name: getattr(result, name) for name in ("mode", "source", "prompt", "seed", "nfe")},
        **rows[0],
        "candidates": rows,
    }


def _as_line(result: EditResult, written: list[Path]) -> str:
    return f"{' '.join(show_text(str(path)) for path in written)}  box {result.box.as_tuple()}"


def parse_memory(text: str) -> tuple[str, Any]:
    """KEY=VALUE of `--memory`."""
    name, _, value = text.partition("=")
    return name, {"true": True, "false": False}.get(value, value)


def _parse_box(text: str) -> Box:
    try:
        if "_" in text or not text.isascii():  # Python reads digits of every script
            raise ValueError
        return as_box([float(side) for side in text.split(",")])
    except (ValueError, UserError):
        raise UserError(
            f"--box {text}: write left,top,right,bottom in whole pixels, left < right, top < bottom"
        ) from None
