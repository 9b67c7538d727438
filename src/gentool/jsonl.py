"""Files of JSON lines, read and written so that a fault is named and a crash loses nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

R = TypeVar("R", bound=BaseModel)


class GenToolError(ValueError):
    """Base of all errors that the user can mend: the message names what, where and the fix."""


class RecordError(GenToolError):
    """A record that cannot be used: names the file, line, field and the fix."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def content_hash(value: Any, length: int = 12) -> str:
    """First ``length`` hex digits of the SHA-256 of ``value``'s canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def refuse_constant(name: str) -> None:
    """For ``json``'s ``parse_constant``: NaN and Infinity are not JSON, and would be written back as null."""
    raise ValueError(f"{name} is not JSON")


def read_jsonl_lines(path: Path, whole: bool = False) -> Iterator[tuple[int, Any]]:
    """Line number and value of each non-empty line. Raises :class:`RecordError` for a bad line.

    ``whole``: a last line without a line break was cut short while it was written, and is left out.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}. Fix: check the path.") from None
    if whole:
        raw = raw[: raw.rfind(b"\n") + 1]
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            yield number, json.loads(text, parse_constant=refuse_constant)
        except UnicodeDecodeError as error:
            raise RecordError(
                f"{path}:{number}: expected UTF-8; found byte {line[error.start]:#04x} at column "
                f"{error.start + 1}. Fix: save the file as UTF-8."
            ) from None
        except (ValueError, RecursionError) as error:
            raise RecordError(
                f"{path}:{number}: expected one JSON object a line; found {line[:60]!r} ({error}). "
                "Fix: correct the line; JSONL has no line breaks inside an object."
            ) from None


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none of it: a temporary file, flushed to disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


_FIXES = {
    "missing": "add the field",
    "extra_forbidden": "remove the field or correct its name",
    "string_pattern_mismatch": "use letters, digits, _ and - only, at most 64 for a tool's name",
    "list_type": "write a list, like [a, b]",
    "model_type": "write one JSON object a line",
    "string_too_short": "write a text",
    "literal_error": "use one of the values named",
}


def describe_errors(error: ValidationError, where: str) -> str:
    """All of a validation error's parts as lines ``where: field: expected ...; found .... Fix: ...``."""
    lines = []
    for part in error.errors(include_url=False):
        field = ".".join(str(p) for p in part["loc"]) or "(record)"
        message = part["msg"]
        if part["type"] == "value_error":
            message = f"{message.removeprefix('Value error, ')}."
        elif part["type"] != "gentool":
            found = canonical_json(part["input"])[:120] if _is_json(part["input"]) else "?"
            fix = _FIXES.get(part["type"], "correct the value")
            message = f"{message}; found {found}. Fix: {fix}."
        lines.append(f"{where}: {field}: {message}")
    return "\n".join(lines)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def parse_record(kind: type[R], value: Any, where: str) -> R:
    """``value`` as a record of ``kind``. Raises :class:`RecordError`, its text beginning with ``where``."""
    try:
        record = kind.model_validate(value)
        record.model_dump_json()
    except ValidationError as error:
        raise RecordError(describe_errors(error, where)) from None
    except (RecursionError, ValueError) as error:
        raise RecordError(
            f"{where}: expected a record that can be written as UTF-8 JSON; found {str(error)[:120]}. "
            "Fix: remove half characters (lone surrogates) and values nested hundreds of levels deep."
        ) from None
    return record


def read_jsonl(kind: type[R], path: Path) -> list[R]:
    """All records of a JSONL file, in order. Raises :class:`RecordError` naming file, line and field."""
    return [parse_record(kind, value, f"{path}:{n}") for n, value in read_jsonl_lines(path)]


def to_json(record: BaseModel) -> str:
    """A record as one line of JSON, fields that are ``None`` left out."""
    return json.dumps(record.model_dump(mode="json", exclude_none=True), ensure_ascii=False)


def write_jsonl(path: Path, records: Iterable[BaseModel]) -> None:
    """Write records a line each; the file appears whole or not at all."""
    write_text(path, "".join(to_json(r) + "\n" for r in records))
