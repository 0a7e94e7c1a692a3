"""The console script. It is small, so that there is a sentence for who stops it while the commands
are being imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line: `lr_edit.cli.main` says how a command ends."""
    try:
        from lr_edit.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("lr-edit: stopped before anything was begun\n")
        sys.exit(130)
    run()
