"""reports/performance.json -> performance.md: what was measured, what was counted, what follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lr_edit.workspace.storage import atomic_write, read_json

DAY = 86_400
# Where no GPU was measured: an H200's matmul rate, and the share of it that a UNet may reach.
ASSUMED_RATE, ASSUMED_SHARE = 790e12, 0.5
GPUS = (1, 8, 64)

HEAD = """# What an edit costs

    make benchmark

made this page in {took:.0f} s on {hardware} (PyTorch {torch}).
Other work was a load of {load:.1f} when it began: above 0.5, seconds say little, ratios more. UNet
evaluations are counted by the model itself; a batch of n with guidance counts 2n. FLOPs are counted
by PyTorch, a multiplication and an addition being two. Seconds are the median of three runs of one
image (the release: one run), loading and compiling left out. The release's schedule
(99 samples x 51 PNDM calls x 2 for guidance) is painted in our batches; its own hold one picture.
"""

SWITCHES = """
## What to switch off first

1. Boxes painted at full quality: race instead of enumerate; UNet evaluations are where time goes.
2. Guidance after the first steps (`inpaint.guided`), and its second evaluation at most of them
   (`inpaint.refresh`): each step without costs half.
3. The pictures of candidates that were not chosen: they are {share:.1%} of a task's bytes; tables
   alone let every variant choose again, pictures can be painted again.
4. The full autoencoder in previews (`tiny_vae`): at full size one encoding and decoding is
   {vae:.1f} UNet evaluations, with the tiny one {tiny:.2f}.
"""


def write_page(path: Path) -> Path:
    """Write performance.md beside performance.json; returns its path."""
    found = read_json(path)
    book = found["picturebook"]
    lines = [
        HEAD.format(took=found["took"], **book),
        "## Picture-book models, 64 pixels, fp32",
        "",
        *_measured(book, book["rows"]),
        "",
        f"Loading the models takes {book['loading']:.1f} s; `lr-edit edit` takes"
        f" {book['lr-edit edit']:.1f} s with it, {book['lr-edit edit'] - book['loading']:.1f} s"
        " after it.",
        "",
        "## Stable Diffusion 2 at full size, 512 pixels, fp16, random weights",
        "",
        *_full_size(found),
        *_time_and_storage(found),
        *_sizing(found),
        SWITCHES.format(**_shares(found)),
    ]
    page = path.with_suffix(".md")
    with atomic_write(page) as part:
        part.write_text("\n".join(lines).rstrip() + "\n")
    return page


def _measured(where: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line a strategy; the first is what the others are compared with."""
    released, lines = rows[0], []
    for row in rows:
        rate = row["flops"] / row["seconds"]
        lines.append(
            [row["strategy"], f"{row['nfe']:,}",
             f"{released['nfe'] / row['nfe']:.0f}x", f"{row['seconds']:.2f}",
             f"{released['seconds'] / row['seconds']:.0f}x", f"{row['peak_bytes'] / 2**30:.2f}",
             f"{row['flops'] / 1e12:.3g}", f"{rate / 1e12:.3g}", f"{rate / where['matmul']:.0%}"]
        )  # fmt: skip
    names = ["strategy", "UNet evaluations", "fewer", "s", "faster", "peak GiB", "TFLOP",
             "TFLOP/s", "of matmul rate"]  # fmt: skip
    told = f"{where['hardware']}; its matmul rate is {where['matmul'] / 1e12:.3g} TFLOP/s."
    return [told, "", *_table(names, lines)]


def _full_size(found: dict[str, Any]) -> list[str]:
    if (sd2 := found["sd2"]) is not None:
        eager, compiled = _measured(sd2, sd2["rows"]), _measured(sd2, sd2["compiled"])
        return ["Eager:", "", *eager, "", "Compiled (UNet and decoder):", "", *compiled]
    plans = found["counted"]["plans"]
    most = plans[0]
    lines = [
        [row["strategy"], f"{row['nfe']:,}",
         f"{most['nfe'] / row['nfe']:.0f}x", "not yet run",
         f"{row['flops'] / 1e12:,.0f}", f"{most['flops'] / row['flops']:.0f}x"]
        for row in plans
    ]  # fmt: skip
    names = ["strategy", "UNet evaluations", "fewer", "s", "TFLOP", "less"]
    return [
        "Not yet run: no GPU was to be had. Evaluations and FLOPs are counted, on models that hold"
        " no memory; `make benchmark` on a GPU fills in the rest, eager and compiled.",
        "",
        *_table(names, lines),
    ]


def _time_and_storage(found: dict[str, Any]) -> list[str]:
    where = found["sd2"] or found["picturebook"]
    name = "Stable Diffusion 2" if found["sd2"] else "picture-book models"
    parts, rows = where["parts"], {row["strategy"]: row for row in where["rows"]}
    whole_run = rows["enumerate"]["seconds"]
    others = parts["propose"] + parts["score"]
    shares = {"paint": whole_run - others, **{k: v for k, v in parts.items() if "bytes" not in k}}
    lines = [[part, f"{seconds:.3f}"] for part, seconds in shares.items()]
    return [
        "",
        "## Where time and storage go",
        "",
        f"Measured, one enumerated image, {name}:",
        "",
        *_table(["part", "s"], lines),
        "",
        f"A task keeps {parts['bytes of tables'] / 1e3:,.0f} kB of tables and"
        f" {parts['bytes of images'] / 1e3:,.0f} kB of candidate pictures (measured,"
        f" {name}); at 512 pixels 54 candidates are {_pictures() / 1e6:.1f} MB (counted:"
        " 54 x 3 x 512 x 512).",
    ]


def _sizing(found: dict[str, Any]) -> list[str]:
    """Images a day: measured where a GPU was, else modelled from what was counted."""
    if (sd2 := found["sd2"]) is not None:
        rows, how = sd2["compiled"], f"measured on one {sd2['hardware']}, compiled"
        seconds = {row["strategy"]: row["seconds"] for row in rows}
    else:
        how = (
            f"modelled: counted FLOPs at {ASSUMED_SHARE:.0%} of an H200's"
            f" {ASSUMED_RATE / 1e12:.0f} TFLOP/s"
        )
        rate = ASSUMED_RATE * ASSUMED_SHARE
        seconds = {row["strategy"]: row["flops"] / rate for row in found["counted"]["plans"]}
    lines = [
        [name, f"{took:.2f}", *(f"{DAY * gpus / took:,.0f}" for gpus in GPUS)]
        for name, took in seconds.items()
    ]
    parts = found["picturebook"]["parts"]
    speed = (parts["bytes of images"] + parts["bytes of tables"]) / parts["write"]
    most = DAY * speed / _pictures()
    return [
        "",
        "## Images a day at full size",
        "",
        f"One image at a time a GPU, seconds {how}; images are independent, so that n GPUs do"
        " 86,400 n / s of them (modelled: more than one GPU was not measured).",
        "",
        *_table(["strategy", "s", *(f"{n} GPU{'s' * (n > 1)}" for n in GPUS)], lines),
        "",
        "The process that hands out tasks writes every enumerated result, at"
        f" {speed / 1e6:,.0f} MB/s here (measured on one small task, into the page cache; a disk"
        f" may be slower): {most:,.0f} images of 54 candidates a day at most (modelled), whatever"
        " the number of GPUs. One chosen picture is 1/54 of that.",
    ]


def _shares(found: dict[str, Any]) -> dict[str, float]:
    parts, flops = found["picturebook"]["parts"], found["counted"]["flops"]
    images, tables = parts["bytes of images"], parts["bytes of tables"]
    return {
        "share": images / (images + tables),
        "vae": (flops["encode"] + flops["decode"]) / flops["unet"],
        "tiny": (flops["tiny encode"] + flops["tiny decode"]) / flops["unet"],
    }


def _pictures() -> int:
    return 54 * 3 * 512 * 512


def _table(names: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in names[1:])]
    return ["| " + " | ".join(line) + " |" for line in (names, rule, *lines)]
