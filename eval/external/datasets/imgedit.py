"""ImgEdit-Bench, basic (Ye et al. 2025): basic_edit.json {key: {id, prompt, edit_type}}.

`id` is the image's path, `prompt` the instruction; the edit is KEY.png. Nine types of edits, judged
by a vision-language model.
"""

from __future__ import annotations

from pathlib import Path

from eval.external.datasets.contract import Dataset, Sample
from eval.external.datasets.listing import find_listing, read_mapping, text_of
from lr_edit.types import EditTask
from lr_edit.workspace.tasks import inside


def read_imgedit(path: Path) -> Dataset:
    """A task per key. The images lie beside the list, or in one of its usual folders."""
    path = find_listing(path, "basic_edit.json", "singleturn.json")
    samples = []
    for key, row in read_mapping(path).items():
        at = f"{path}: {key!r}"
        place = text_of(row, "id", at=at)
        homes = [
            path.parent / name for name in ("", "images", "singleturn", "Benchmark/singleturn")
        ]
        paths = [home / inside(home, place, said=at) for home in homes if home.is_dir()]
        image = next((one for one in paths if one.is_file()), paths[0])
        task = EditTask(
            id=key, image=Path(place), source="", prompt="",
            category=text_of(row, "edit_type", at=at),
        )  # fmt: skip
        samples.append(Sample(task, image, (key,), instruction=text_of(row, "prompt", at=at)))
    return Dataset("imgedit", tuple(samples))
