"""Which files of a folder may hold tools."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gentool.catalog.entries import CatalogError, Note
from gentool.jsonl import printable

_CATALOGUE = re.compile(r"\.(json|jsonl|ya?ml)(\.gz)?$", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
MAX_FILES = 100_000


def folder_files(folder: Path) -> tuple[list[Path], list[Note]]:
    """The JSON, JSONL and YAML files in ``folder`` and below, in order, and notes on those that are left out.

    Left out are hidden files and links to folders, in silence, and of each botocore service all versions but the
    latest. Raises :class:`CatalogError` for a folder that cannot be read or holds no such file.
    """
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise CatalogError(
            f"{error.filename}: expected a readable folder; found: {error.strerror}. Fix: check the path."
        )

    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(here, n) for n in sorted(files) if _CATALOGUE.search(n) and not n.startswith(".")]
        if len(found) > MAX_FILES:
            raise CatalogError(
                f"{folder}: expected at most {MAX_FILES:,} files; found more. Fix: name a folder further down."
            )
    if not found:
        raise CatalogError(
            f"{folder}: expected a folder with JSON, JSONL or YAML files; found none. Fix: check the path."
        )
    latest: dict[tuple[Path, str], Path] = {}
    for path in found:
        if _versioned(path):
            latest[path.parent.parent, path.name] = path  # sorted, so that the last is the latest
    notes = [
        Note(
            where=printable(str(path)),
            name="",
            reason=f"older version: {latest[path.parent.parent, path.name].parent.name} is read",
        )
        for path in found
        if _versioned(path) and latest[path.parent.parent, path.name] != path
    ]
    kept = set(latest.values())
    return [path for path in found if not _versioned(path) or path in kept], notes


def _versioned(path: Path) -> bool:
    """Whether this is a botocore model: ``SERVICE/2016-11-15/service-2.json``."""
    return path.name.startswith("service-") and _DATE.fullmatch(path.parent.name) is not None
