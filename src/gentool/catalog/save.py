"""Write an imported catalogue to a folder."""

from __future__ import annotations

import json
from pathlib import Path

from gentool.catalog.importer import Imported
from gentool.jsonl import write_jsonl, write_text


def write_imported(imported: Imported, folder: Path) -> None:
    """``tools.jsonl``, and what was done to them: ``repaired.jsonl``, ``rejected.jsonl``, ``duplicates.jsonl`` and
    ``names.json`` (new name -> original)."""
    write_jsonl(folder / "tools.jsonl", imported.tools)
    write_jsonl(folder / "repaired.jsonl", imported.repaired)
    write_jsonl(folder / "rejected.jsonl", imported.rejected)
    write_jsonl(folder / "duplicates.jsonl", imported.duplicates)
    write_text(folder / "names.json", json.dumps(imported.names, indent=1, ensure_ascii=False) + "\n")
