"""publish: a finished study -> MLflow, and a receipt of keys, the same wherever it is written."""

from __future__ import annotations

import sys
from pathlib import Path

from lr_edit.config import Config
from lr_edit.tracking.publish import publish
from lr_edit.types import Track
from lr_edit.workspace.storage import write_json


def run(root: Path, _config: Config, *, track: Track | None = None) -> None:
    """Never fails for MLflow's sake: a server that is gone is said once, on stderr."""
    receipt = publish(root, progress=track)
    write_json(root / "artifacts/receipt.json", receipt.as_dict())
    sys.stderr.write(f"{receipt.text}\n")
