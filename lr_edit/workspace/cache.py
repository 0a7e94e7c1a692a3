"""Finished results kept by content, outside every stage's outputs: deleting the folder is safe.

    KIND/KEY.json   what a result consists of: its files, by the sha256 of their bytes
    blobs/          those bytes, each under its sha256, so that equal files are kept once

A key holds everything that a result depends on. Nothing is handed out unchecked: an entry that is
not what was written (a flipped bit, a cut file, another key's) is said, deleted and made again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from lr_edit.files import atomic_write, write_text


class Cache:
    """The entries of one kind below a folder that all kinds share."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._entries, self._blobs = folder / kind, folder / "blobs"

    def has(self, key: str) -> bool:
        """Whether there is an entry, whole or damaged."""
        return self._manifest(key).is_file()

    def restore(self, key: str, place: Callable[[str], Path]) -> bool:
        """Copy an entry's files to where `place` puts their names; whether all are there, whole.

        What is damaged is said on stderr and deleted. What was copied before stays: whoever makes
        the result anew writes over it.
        """
        if not self.has(key):
            return False
        manifest = self._manifest(key)
        files = _read_manifest(manifest, key)
        if files is None:
            return _discard(manifest)
        for name, digest in files.items():
            blob = self._blob(digest)
            data = blob.read_bytes() if blob.is_file() else b""
            if hashlib.sha256(data).hexdigest() != digest:
                manifest.unlink()
                return _discard(blob)
            with atomic_write(place(name)) as part:
                part.write_bytes(data)
        return True

    def keep(self, key: str, files: Mapping[str, Path]) -> None:
        """Keep files by name; the entry is there once all of them are."""
        digests = {}
        for name, path in files.items():
            data = path.read_bytes()
            digests[name] = hashlib.sha256(data).hexdigest()
            blob = self._blob(digests[name])
            if not blob.is_file():
                with atomic_write(blob) as part:
                    part.write_bytes(data)
        record = {"files": digests, "seal": _seal(key, digests)}
        write_text(self._manifest(key), json.dumps(record, indent=1))

    def _manifest(self, key: str) -> Path:
        return self._entries / f"{key}.json"

    def _blob(self, digest: str) -> Path:
        return self._blobs / digest[:2] / digest[2:]


def _read_manifest(path: Path, key: str) -> dict[str, str] | None:
    """Name -> sha256 of an entry's files; None where it is not what was written for this key."""
    try:
        entry = json.loads(path.read_bytes())
        return entry["files"] if entry["seal"] == _seal(key, entry["files"]) else None
    except (ValueError, KeyError, TypeError):
        return None


def _seal(key: str, digests: Mapping[str, str]) -> str:
    text = json.dumps([key, digests], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _discard(path: Path) -> bool:
    """Say that a file of the cache is damaged, and delete it; False."""
    path.unlink(missing_ok=True)
    sys.stderr.write(f"lr-edit: {path} was damaged: deleted, and its result is made again\n")
    return False
