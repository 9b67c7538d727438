"""``python -m gentool.dataset.compile``: from the sources in ``dataset/`` to the files that the package ships."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel

from gentool import data
from gentool.dataset.card import dataset_card
from gentool.dataset.checks import check_dataset
from gentool.dataset.readings import Reading
from gentool.dataset.source import SourceError, scan_pairs, scan_tools
from gentool.jsonl import read_jsonl, to_json
from gentool.records import Tool, ToolPair


def read_sources(folder: Path) -> tuple[list[ToolPair], list[Tool], list[str]]:
    """All pairs and stand-alone tools under ``folder``, and what is wrong with them."""
    pairs: list[ToolPair] = []
    tools: list[Tool] = []
    problems: list[str] = []
    for path in sorted((folder / "pairs").glob("*.yaml")):
        found, wrong = scan_pairs(path)
        pairs += found
        problems += wrong
    for path in sorted((folder / "tools").glob("*.yaml")):
        more, wrong = scan_tools(path)
        tools += more
        problems += wrong
    return pairs, tools, problems


def packed(records: Iterable[BaseModel]) -> bytes:
    """JSONL in gzip, the same bytes for the same records."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9, mtime=0) as file:
        file.write("".join(to_json(record) + "\n" for record in records).encode())
    return out.getvalue()


def compiled(folder: Path, card: bool = True) -> dict[str, bytes]:
    """File name -> content of what is shipped, with its ``card`` or without.

    Raises :class:`SourceError` for sources with problems.
    """
    pairs, tools, problems = read_sources(folder)
    if problems:
        raise SourceError("\n".join(problems))
    readings: Sequence[Reading] = []
    for path in sorted((folder / "readings").glob("*.jsonl")):
        readings = [*readings, *read_jsonl(Reading, path)]
    files: dict[str, Sequence[BaseModel]] = {"pairs": pairs, "tools": tools, "readings": readings}
    made = {f"{name}.jsonl.gz": packed(records) for name, records in files.items()}
    if card:
        made["README.md"] = dataset_card(check_dataset(pairs, tools, readings).figures).encode()
    return made


def main(folder: Path = Path("dataset")) -> int:
    """Write the files; returns the exit code."""
    try:
        files = compiled(folder)
    except SourceError as error:
        print(error, file=sys.stderr)
        return 2
    data.OPEN.mkdir(exist_ok=True)
    for name, content in files.items():
        (data.OPEN / name).write_bytes(content)
        print(f"{data.OPEN / name}: {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
