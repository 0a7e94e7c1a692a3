"""One file a DVC stage: files in, the core, files out, and nothing else.

`TABLE` names every stage's module. The measuring stages live in `eval`, which this package never
imports: the command line finds them by name.
"""

from __future__ import annotations

TABLE: dict[str, str] = {
    "prepare": "lr_edit.stages.prepare",
    "candidates": "lr_edit.stages.candidates",
    "judge": "eval.stages.judge",
    "amortise": "lr_edit.stages.amortise",
    "train": "lr_edit.stages.train",
    "edit": "lr_edit.stages.edit",
    "evaluate": "eval.stages.evaluate",
    "ablate": "lr_edit.stages.ablate",
    "report": "eval.stages.report",
    "race": "eval.stages.race",
    "publish": "lr_edit.stages.publish",
}
# Of the stages that run once an item: the option that names it.
ITEMS: dict[str, str] = {
    "candidates": "proposals",
    "judge": "proposals",
    "train": "variant",
    "edit": "variant",
    "evaluate": "variant",
}
# Stages that keep what they finish themselves: items in the cache, runs in MLflow.
OWN_CACHE: tuple[str, ...] = ("candidates", "judge", "publish")
