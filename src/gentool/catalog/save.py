"""Write an imported catalogue to a folder."""

from __future__ import annotations

import json
from pathlib import Path

from gentool.catalog.entries import CatalogError
from gentool.catalog.importer import Imported
from gentool.jsonl import write_jsonl, write_text


def write_imported(imported: Imported, folder: Path) -> None:
    """``tools.jsonl``, and what was done to them: ``repaired.jsonl``, ``rejected.jsonl``, ``duplicates.jsonl`` and
    ``names.json`` (new name -> original). Where queries are recorded, ``use_cases.jsonl`` and what was done to them,
    ``repaired_cases.jsonl`` and ``rejected_cases.jsonl``; of folders ``skipped.jsonl``, the files without tools.

    Raises :class:`CatalogError` where ``folder``, or what it lies in, is a file.
    """
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise CatalogError(f"--out: expected a folder; found the file {part}. Fix: name another folder.")
    write_jsonl(folder / "tools.jsonl", imported.tools)
    write_jsonl(folder / "repaired.jsonl", imported.repaired)
    write_jsonl(folder / "rejected.jsonl", imported.rejected)
    write_jsonl(folder / "duplicates.jsonl", imported.duplicates)
    for name, records in (
        ("use_cases", imported.use_cases),
        ("repaired_cases", imported.repaired_cases),
        ("rejected_cases", imported.rejected_cases),
    ):
        if imported.cases_read:
            write_jsonl(folder / f"{name}.jsonl", records)
        else:
            (folder / f"{name}.jsonl").unlink(missing_ok=True)  # of another import into this folder
    if imported.skipped:
        write_jsonl(folder / "skipped.jsonl", imported.skipped)
    else:
        (folder / "skipped.jsonl").unlink(missing_ok=True)
    write_text(folder / "names.json", json.dumps(imported.names, indent=1, ensure_ascii=False) + "\n")
