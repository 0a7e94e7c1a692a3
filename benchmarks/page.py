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
_LARGEST_FIRST = (
    ("sd2", "cuda", "Stable Diffusion 2"),
    ("picturebook", "cpu", "picture-book models"),
    ("picturebook", "cuda", "picture-book models"),
)

# How a UNet runs: the part of performance.json, and its title.
_WAYS = {
    "rows": "Eager",
    "graphs": "Recorded as CUDA graphs (by the benchmark: no option of the package yet)",
    "compiled": "Blocks compiled (`memory: {compile: true}`) and recorded as CUDA graphs",
}

HEAD = """# What an edit costs

    make benchmark

made this page, once on each device:

{runs}

Other work was a load of the given number when it began: above 0.5, seconds say little, ratios more.
UNet evaluations are counted by the model itself; a batch of n with guidance counts 2n. FLOPs are
counted by PyTorch, a multiplication and an addition being two. Seconds are the median of three runs
of one image (released and enumerate: one run), loading, recording and compiling left out. The
release's schedule (99 samples x 51 evaluations of PNDM x 2 for guidance) is inpainted in our
batches; its own hold one image. "Faster" compares with the first row of the same table.
`lr-edit edit` inpaints one box of a detector's; where no detector finds the words it does what
"grounded, 5 boxes" says. To start, the command takes some seconds more: its libraries are read.
"""

SWITCHES = """## What to switch off first

1. Boxes inpainted at full quality: race instead of enumerate; UNet evaluations are where time goes.
2. Guidance after the first steps (`inpaint.guided`), and its second evaluation at most of them
   (`inpaint.refresh`): each step without costs half.
3. The pictures of candidates that were not chosen: they are {share:.1%} of a task's bytes; tables
   alone let every variant choose again, images can be inpainted again.
4. The full autoencoder in previews (`tiny_vae`): at full size one encoding and decoding is
   {vae:.1f} UNet evaluations, with the tiny one {tiny:.2f}.
"""


def write_page(path: Path) -> Path:
    """Write performance.md beside performance.json; returns its path.

    What a device has not measured, or failed to, is left out; failures are named at the end.
    """
    found = read_json(path)
    lines = [
        HEAD.format(runs="\n".join(_runs(found))),
        *_picturebook(found),
        *_training(found),
        "## Stable Diffusion 2 at full size, 512 pixels, fp16, random weights",
        "",
        *_full_size(found),
        *_time_and_storage(found),
        *_sizing(found),
        *_switches(found),
        *_failures(found),
    ]
    page = path.with_suffix(".md")
    with atomic_write(page) as part:
        part.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return page


def _runs(found: dict[str, Any]) -> list[str]:
    return [
        f"- {run['hardware']}: PyTorch {run['torch']}, {run['took']:.0f} s, a load of"
        f" {run['load']:.1f}"
        for run in found["run"].values()
    ]


def _picturebook(found: dict[str, Any]) -> list[str]:
    """The bundled models, on every device that has run them."""
    lines = ["## Picture-book models, 64 pixels", ""]
    for device, book in found.get("picturebook", {}).items():
        name = found["run"][device]["hardware"]
        if "rows" in book:
            lines += [*_measured(name, book, book["rows"]), ""]
        if "edit" in book:
            lines += [
                f"Loading the models takes {book['loading']:.1f} s; an edit in five grounded boxes "
                f"takes {book['edit']:.1f} s with it, {book['edit'] - book['loading']:.1f} s after "
                "it.",
                "",
            ]
    return lines


def _training(found: dict[str, Any]) -> list[str]:
    """AnchorNet: one image, and on a GPU many together."""
    lines = [
        [found["run"][device]["hardware"], row["features"],
         f"{row['channels']} x {row['cells']} x {row['cells']}", str(row["images"]),
         f"{row['seconds']:.2f}", f"{row['seconds'] / row['images']:.3f}",
         f"{row['peak_bytes'] / 2**30:.2f}"]
        for device, part in found.get("training", {}).items() for row in part.get("rows", [])
    ]  # fmt: skip
    names = ["device", "features", "channels x cells", "images together", "s", "s an image",
             "GiB"]  # fmt: skip
    return [
        "## AnchorNet's training",
        "",
        "One net per image: 54 boxes, 200 steps of the exact gradient, RoI pooling included, random"
        " features and losses. Memory is the peak above what was held before. On a GPU the nets of"
        " several images take each step together, on the CPU every process trains one at a time.",
        "",
        *_table(names, lines),
        "",
    ]


def _measured(name: str, where: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line per strategy; the first is what the others are compared with."""
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
    where_measured = f"{name}; its matmul rate is {where['matmul'] / 1e12:.3g} TFLOP/s."
    return [where_measured, "", *_table(names, lines)]


def _full_size(found: dict[str, Any]) -> list[str]:
    lines = []
    for device, sd2 in found.get("sd2", {}).items():
        name = found["run"][device]["hardware"]
        for rows, title in _WAYS.items():
            if sd2.get(rows):
                lines += [f"{title}:", "", *_measured(name, sd2, sd2[rows]), ""]
    return lines or _counted(found)


def _counted(found: dict[str, Any]) -> list[str]:
    """What is known without a GPU."""
    plans = found["counted"]["meta"]["plans"] if "counted" in found else []
    lines = [
        [row["strategy"], f"{row['nfe']:,}",
         f"{plans[0]['nfe'] / row['nfe']:.0f}x", "not yet run",
         f"{row['flops'] / 1e12:,.0f}", f"{plans[0]['flops'] / row['flops']:.0f}x"]
        for row in plans
    ]  # fmt: skip
    names = ["strategy", "UNet evaluations", "fewer", "s", "TFLOP", "less"]
    return [
        "Not yet run: no GPU was to be had. Evaluations and FLOPs are counted, on models that hold"
        " no memory; `make benchmark` on a GPU fills in the rest, eager and compiled.",
        "",
        *_table(names, lines),
        "",
    ]


def _time_and_storage(found: dict[str, Any]) -> list[str]:
    """Of the largest models that were measured."""
    measured = [
        (found[part][device], device, name)
        for part, device, name in _LARGEST_FIRST
        if {"parts", "rows"} <= found.get(part, {}).get(device, {}).keys()
    ]
    if not measured:
        return []
    where, device, name = measured[0]
    name, parts = f"{name}, {found['run'][device]['hardware']}", where["parts"]
    rows = {row["strategy"]: row for row in where["rows"]}
    others = parts["propose"] + parts["score"]
    inpainting = {"inpaint": rows["enumerate"]["seconds"] - others} if "enumerate" in rows else {}
    shares = inpainting | {part: took for part, took in parts.items() if "bytes" not in part}
    return [
        "## Where time and storage go",
        "",
        f"Measured, one enumerated image, {name}:",
        "",
        *_table(["part", "s"], [[part, f"{seconds:.3f}"] for part, seconds in shares.items()]),
        "",
        f"A task keeps {parts['bytes of tables'] / 1e3:,.0f} kB of tables and"
        f" {parts['bytes of images'] / 1e3:,.0f} kB of candidate pictures (measured,"
        f" {name}); at 512 pixels 54 candidates are {_pictures() / 1e6:.1f} MB (counted:"
        " 54 x 3 x 512 x 512).",
        "",
    ]


def _sizing(found: dict[str, Any]) -> list[str]:
    """Images a day: measured where a GPU was, else modelled from what was counted."""
    sd2 = found.get("sd2", {}).get("cuda", {})
    if sd2.get("rows"):
        how = f"measured on one {found['run']['cuda']['hardware']}, eager"
        seconds = {row["strategy"]: row["seconds"] for row in sd2["rows"]}
    elif "counted" in found:
        how = (
            f"modelled: counted FLOPs at {ASSUMED_SHARE:.0%} of an H200's"
            f" {ASSUMED_RATE / 1e12:.0f} TFLOP/s"
        )
        rate = ASSUMED_RATE * ASSUMED_SHARE
        plans = found["counted"]["meta"]["plans"]
        seconds = {row["strategy"]: row["flops"] / rate for row in plans}
    else:
        return []
    lines = [
        [name, f"{took:.2f}", *(f"{DAY * gpus / took:,.0f}" for gpus in GPUS)]
        for name, took in seconds.items()
    ]
    return [
        "## Images a day at full size",
        "",
        f"One image at a time a GPU, seconds {how}; images are independent, so that n GPUs do"
        " 86,400 n / s of them (modelled: more than one GPU was not measured).",
        "",
        *_table(["strategy", "s", *(f"{n} GPU{'s' * (n > 1)}" for n in GPUS)], lines),
        "",
        *_writing(found),
    ]


def _writing(found: dict[str, Any]) -> list[str]:
    """What the one process that writes holds up."""
    if not (parts := _bundled_parts(found)):
        return []
    speed = (parts["bytes of images"] + parts["bytes of tables"]) / parts["write"]
    most = DAY * speed / _pictures()
    return [
        "The process that hands out tasks writes every enumerated result, at"
        f" {speed / 1e6:,.0f} MB/s here (measured on one small task, into the page cache; a disk"
        f" may be slower): {most:,.0f} images of 54 candidates a day at most (modelled), whatever"
        " the number of GPUs. One chosen picture is 1/54 of that.",
        "",
    ]


def _switches(found: dict[str, Any]) -> list[str]:
    parts = _bundled_parts(found)
    if not parts or "counted" not in found:
        return []
    flops = found["counted"]["meta"]["flops"]
    images, tables = parts["bytes of images"], parts["bytes of tables"]
    return [
        SWITCHES.format(
            share=images / (images + tables),
            vae=(flops["encode"] + flops["decode"]) / flops["unet"],
            tiny=(flops["tiny encode"] + flops["tiny decode"]) / flops["unet"],
        )
    ]


def _bundled_parts(found: dict[str, Any]) -> dict[str, float]:
    """Seconds and bytes of one task of the picture book, on the CPU where it has run."""
    book = found.get("picturebook", {})
    return next((book[on]["parts"] for on in ("cpu", "cuda") if "parts" in book.get(on, {})), {})


def _failures(found: dict[str, Any]) -> list[str]:
    lines = [
        f"- {what} ({device}): {why}"
        for device, all_failed in found.get("failed", {}).items()
        for what, why in all_failed.items()
    ]
    return ["## Not measured", "", *lines] if lines else []


def _pictures() -> int:
    return 54 * 3 * 512 * 512


def _table(names: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in names[1:])]
    return ["| " + " | ".join(line) + " |" for line in (names, rule, *lines)]
