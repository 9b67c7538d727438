"""Opens a catalogue file (JSON, JSONL or YAML, also gzipped) and takes its values apart."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any

from gentool.catalog.entries import CatalogError, Repeated, Row
from gentool.catalog.yaml_file import yaml_documents
from gentool.jsonl import excerpt, printable

MAX_BYTES = 1 << 30
"""Largest file, decompressed: a few hundred times the largest catalogue known."""

MAX_YAML_BYTES = 1 << 26
"""Largest file of YAML, which takes a hundred times its size while it is read."""

_YAML = re.compile(r"\.ya?ml(\.gz)?$", re.IGNORECASE)
_BLOCK = re.compile(rb"\s*(#[^\n]*\n\s*|---\s+)*[\"'a-zA-Z_$-][^{\[\n]*:(\s|$)")
"""The beginning of YAML in block form, in a file whose name does not say so."""
_GZIP = b"\x1f\x8b"


def _read(path: Path) -> bytes:
    """The file's content, decompressed. What is compressed is told by its first bytes, not by its name."""
    try:
        with path.open("rb") as file:
            if file.read(2) == _GZIP:
                file.seek(0)
                with gzip.GzipFile(fileobj=file) as unpacked:
                    data = unpacked.read(MAX_BYTES + 1)
            else:
                file.seek(0)
                data = file.read(MAX_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CatalogError(
            f"{path}: expected a whole gzip file; found a damaged one ({error}). Fix: fetch it again."
        ) from None
    except OSError as error:
        raise CatalogError(
            f"{path}: expected a readable file; found: {error.strerror or error}. Fix: check the path."
        ) from None
    if len(data) > MAX_BYTES:
        raise CatalogError(
            f"{path}: expected at most {MAX_BYTES:,} bytes, decompressed; found more. "
            "Fix: split the file and import the parts."
        )
    return data.removeprefix(codecs.BOM_UTF8)


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(items)
    if len(made) == len(items):
        return made
    keys = [key for key, _ in items]
    return Repeated(made, next(key for key in keys if keys.count(key) > 1))


def _parse(data: bytes) -> Any:
    """Raises ``ValueError`` (bad UTF-8, bad JSON, a number too long) or ``RecursionError``."""
    return json.loads(data.decode("utf-8"), object_pairs_hook=_object)


def _lines(name: str, data: bytes) -> list[Row]:
    rows = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(Row(f"{name}:{number}", _parse(line)))
        except (ValueError, RecursionError) as error:
            rows.append(Row(f"{name}:{number}", line, f"unreadable line: {printable(str(error))[:120]}"))
    return rows


def _yaml(path: Path, name: str, data: bytes) -> list[Row]:
    try:
        if len(data) > MAX_YAML_BYTES:
            raise ValueError(f"{len(data):,} bytes of it, more than {MAX_YAML_BYTES:,}")
        documents = yaml_documents(data.decode("utf-8"))
    except ValueError as error:
        raise CatalogError(
            f"{path}: expected YAML; found {printable(str(error))[:160]}. Fix: correct the file, or save it as JSON."
        ) from None
    values = documents[0] if len(documents) == 1 and isinstance(documents[0], list) else documents
    return [Row(name if len(values) == 1 else f"{name}#{i}", value) for i, value in enumerate(values)]


def read_rows(path: Path, name: str | None = None) -> list[Row]:
    """The values of a file: of an array its elements, of JSONL its lines, of YAML its documents; other JSON is one.

    ``name`` is what the file is called in notes, if not by its own name. A line that is not JSON becomes a row
    with a ``problem``. Raises :class:`CatalogError` for a file that cannot be opened, is too large, is empty, or
    holds neither JSON nor YAML.
    """
    data = _read(path)
    name = printable(name or path.name)
    if not data.strip():
        raise CatalogError(
            f"{path}: expected tools as JSON or JSONL; found an empty file. Fix: check the path."
        )
    if _YAML.search(path.name):
        return _yaml(path, name, data)
    try:
        document = _parse(data)
    except (ValueError, RecursionError) as error:
        rows = _lines(name, data)
        # A broken array can hold whole objects on lines of their own; that does not make it JSONL.
        broken = data.lstrip().startswith(b"[")
        if broken or not any(isinstance(r.value, dict) for r in rows):
            if _BLOCK.match(data):
                return _yaml(path, name, data)
            raise CatalogError(
                f"{path}: expected JSON, or JSONL with one object a line; found {excerpt(data, 60)!r} "
                f"({printable(str(error))[:120]}). Fix: correct the file, or save it as UTF-8 JSON."
            ) from None
        return rows
    if isinstance(document, list):
        return [Row(f"{name}#{i}", value) for i, value in enumerate(document)]
    return [Row(name, document)]
