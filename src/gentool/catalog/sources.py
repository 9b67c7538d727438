"""What an import reads: files, all the files of a folder, or running servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gentool.catalog.entries import Note, Row
from gentool.catalog.files import read_rows
from gentool.catalog.folder import folder_files
from gentool.catalog.live import is_live, live_rows, told
from gentool.jsonl import printable


@dataclass(frozen=True)
class Source:
    """One file or server. ``read`` gives its name in notes and its rows, and raises ``CatalogError``.

    ``path`` is what it is called in errors. ``optional``: of a folder, in which other files may lie too.
    """

    path: str
    read: Callable[[], tuple[str, list[Row]]]
    optional: bool = False


def printable_source(given: Path | str) -> str:
    """What ``given`` is called in errors."""
    return told(given) if isinstance(given, str) and is_live(given) else printable(str(given))


def _file(path: Path, label: str) -> tuple[str, list[Row]]:
    return label, read_rows(path, label)


def find_sources(given: Sequence[Path | str]) -> tuple[list[Source], list[Note]]:
    """The sources that ``given`` names, and notes on files of folders that are left out.

    A file is called by its path from the folder that all files have in common. Raises
    :class:`gentool.catalog.entries.CatalogError` for a folder that cannot be read.
    """
    servers = [one for one in given if isinstance(one, str) and is_live(one)]
    sources = [Source(printable_source(one), partial(live_rows, one)) for one in servers]
    notes: list[Note] = []
    files: list[tuple[Path, bool]] = []
    for path in (Path(one) for one in given if one not in servers):
        if path.is_dir():
            found, left_out = folder_files(path)
            files += [(file, True) for file in found]
            notes += left_out
        else:
            files.append((path, False))
    root = os.path.commonpath([path.absolute().parent for path, _ in files]) if files else ""
    for path, optional in files:
        label = printable(path.absolute().relative_to(root).as_posix())
        sources.append(Source(str(path), partial(_file, path, label), optional))
    return sources, notes
