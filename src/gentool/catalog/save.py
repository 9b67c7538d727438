"""Write an imported catalogue to a folder."""

from __future__ import annotations

import json
from pathlib import Path

from gentool.catalog.entries import CatalogError
from gentool.catalog.importer import Imported
from gentool.jsonl import write_jsonl, write_text


def write_imported(imported: Imported, folder: Path) -> None:
    """``tools.jsonl``, and what was done to them: ``repaired.jsonl``, ``rejected.jsonl``, ``duplicates.jsonl`` and
    ``names.json`` (new name -> original).

    Raises :class:`CatalogError` where ``folder``, or what it lies in, is a file.
    """
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise CatalogError(f"--out: expected a folder; found the file {part}. Fix: name another folder.")
    write_jsonl(folder / "tools.jsonl", imported.tools)
    write_jsonl(folder / "repaired.jsonl", imported.repaired)
    write_jsonl(folder / "rejected.jsonl", imported.rejected)
    write_jsonl(folder / "duplicates.jsonl", imported.duplicates)
    write_text(folder / "names.json", json.dumps(imported.names, indent=1, ensure_ascii=False) + "\n")
