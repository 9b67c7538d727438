"""Files of JSON lines, read and written so that a fault is named and a crash loses nothing."""

from __future__ import annotations

import codecs
import errno
import gzip
import hashlib
import io
import json
import math
import os
import re
import reprlib
import zlib
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

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
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()[:length]


def refuse_constant(name: str) -> None:
    """For ``json``'s ``parse_constant``: NaN and Infinity are not JSON, and would be written back as null."""
    raise ValueError(f"{name} is not JSON")


def finite_float(text: str) -> float:
    """For ``json``'s ``parse_float``: 1e999 would be infinite, which is written back as null."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def distinct(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """For ``json``'s ``object_pairs_hook``: of a key that is there twice, one value would be lost."""
    made = dict(items)
    if len(made) < len(items):
        keys = [key for key, _ in items]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} is there twice in one object")
    return made


def strict_json(text: str) -> Any:
    """``text`` as JSON. Raises ``ValueError`` also for what ``json`` would lose in silence: repeated keys, NaN, 1e999.

    Raises ``RecursionError`` for values nested thousands of levels deep.
    """
    return json.loads(
        text, parse_constant=refuse_constant, parse_float=finite_float, object_pairs_hook=distinct
    )


def printable(text: str) -> str:
    """``text`` with escapes for what a terminal or a UTF-8 file cannot take: control characters, lone surrogates."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def excerpt(value: Any, length: int = 120) -> str:
    """The beginning of ``value`` as JSON, safe to print; never more than that is written, however large it is."""
    if isinstance(value, bytes):
        return value[:length].decode("utf-8", "backslashreplace")
    encoder = json.JSONEncoder(ensure_ascii=False, default=repr)
    text = ""
    try:
        for part in encoder.iterencode(value):
            text += part[: length + 1]
            if len(text) > length:
                break
    except (TypeError, ValueError, RecursionError):
        text = reprlib.repr(value)
    text = text if len(text) <= length else text[:length] + "..."
    return printable(text)


_KINDS = (
    (b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (b"\x89PNG", "a PNG image", "check the path"),
    (b"PAR1", "a Parquet table", "convert it to JSONL"),
    (b"\xff\xfe", "UTF-16", "save the file as UTF-8"),
    (b"\xfe\xff", "UTF-16", "save the file as UTF-8"),
)


def _foreign(raw: bytes) -> str:
    """What a file is and what to do, where its beginning shows that it is no text in UTF-8."""
    for start, kind, fix in _KINDS:
        if raw.startswith(start):
            return f"expected text in UTF-8; found {kind}. Fix: {fix}."
    beginning = raw[:1000]
    if beginning.count(0) > len(beginning) // 10:
        return "expected text in UTF-8; found NUL bytes. Fix: save the file as UTF-8, or check the path."
    return ""


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises :class:`RecordError` for one that cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecordError(f"{printable(str(path))}: cannot be read: {reason}. Fix: check the path.") from None


MAX_BYTES = 1 << 30
"""Largest packed file, unpacked: far more than any file of records that is read as a whole."""


def _unpacked(raw: bytes, path: Path) -> bytes:
    """``raw`` itself, or what is in it where it is gzip."""
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            found = file.read(MAX_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise RecordError(
            f"{path}: expected a whole gzip file; found a damaged one ({error}). Fix: fetch it again."
        ) from None
    if len(found) > MAX_BYTES:
        raise RecordError(
            f"{path}: expected at most {MAX_BYTES:,} bytes, unpacked; found more. Fix: split the file."
        )
    return found


def _line_value(line: bytes, first: bool) -> tuple[Any, str]:
    """The value of a line, or why there is none."""
    try:
        return strict_json(line.decode("utf-8-sig" if first else "utf-8")), ""
    except UnicodeDecodeError as error:
        return None, (
            f"expected UTF-8; found byte {line[error.start]:#04x} at column {error.start + 1}. "
            "Fix: save the file as UTF-8."
        )
    except (ValueError, RecursionError) as error:
        at = error.pos if isinstance(error, json.JSONDecodeError) else 0
        found = excerpt(line[max(0, at - 40) : at + 40], 80).strip()
        reason = "nested too deeply" if isinstance(error, RecursionError) else printable(str(error))[:120]
        return None, (
            f"expected one JSON object a line; found {found!r} ({reason}). "
            "Fix: correct the line; JSONL has no line breaks inside an object."
        )


def _one_document(raw: bytes) -> bool:
    try:
        strict_json(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return True


def scan_jsonl(path: Path, whole: bool = False) -> Iterator[tuple[int, Any, str]]:
    """Line number, value and problem (empty: there is none) of each non-empty line; gzip is unpacked.

    Raises :class:`RecordError` for a file that cannot be read or is no text. ``whole``: a last line without a line
    break was cut short while it was written, and is left out.
    """
    raw = _unpacked(read_bytes(path), path)
    foreign = _foreign(raw)
    if foreign:
        raise RecordError(f"{path}: {foreign}")
    if whole:
        raw = raw[: raw.rfind(b"\n") + 1]
    begun = False
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip() or line.strip() == codecs.BOM_UTF8:
            continue
        value, problem = _line_value(line, number == 1)
        if problem and not begun and _one_document(raw):
            raise RecordError(
                f"{path}:{number}: expected one JSON object a line; found one JSON document over several lines. "
                f"Fix: write each object on a line of its own, as `jq -c '.[]' {path}` does with an array."
            )
        begun = True
        yield number, value, problem


def read_jsonl_lines(path: Path, whole: bool = False) -> Iterator[tuple[int, Any]]:
    """Line number and value of each non-empty line, as :func:`scan_jsonl`; a bad line raises :class:`RecordError`."""
    for number, value, problem in scan_jsonl(path, whole):
        if problem:
            raise RecordError(f"{path}:{number}: {problem}")
        yield number, value


def read_json_object(path: Path, *fields: str) -> dict[str, Any]:
    """The JSON object in a file; ``fields`` must be in it. Raises :class:`RecordError`."""
    raw = read_bytes(path)
    try:
        value = strict_json(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        found = f"damaged JSON ({str(error)[:100]})"
    else:
        if isinstance(value, dict) and all(field in value for field in fields):
            return value
        found = excerpt(value, 60)
    named = f" with {', '.join(fields)}" if fields else ""
    raise RecordError(
        f"{path}: expected a JSON object{named}; found {found}. Fix: restore the file, or make it anew."
    )


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none of it, as :func:`write_parts`."""
    write_parts(path, [text])


def write_parts(path: Path, parts: Iterable[str]) -> None:
    """Write a whole file or none of it: a temporary file, flushed to disk, then renamed, and the name flushed too.

    ``parts`` are written as they come, so a file may be larger than the memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as out:
            out.writelines(parts)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt":  # no handle for a folder, nor for a file that is only read
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems do not do that for folders
            raise
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Wait until all in ``folder``, which a library wrote, is on the disk; others may read it as far as umask says.

    safetensors writes files that only their owner can read.
    """
    umask = os.umask(0)
    os.umask(umask)
    for path in [*folder.rglob("*"), folder]:
        if path.is_file():
            path.chmod(path.stat().st_mode | (0o666 & ~umask))
        _sync(path)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines in one piece and flush them to disk; what cannot be written whole is taken back."""
    data = "".join(line + "\n" for line in lines).encode()
    with path.open("ab", buffering=0) as out:
        begin = out.tell()
        try:
            while data:
                data = data[out.write(data) :]
            os.fsync(out.fileno())
        except BaseException as error:
            out.truncate(begin)
            if isinstance(error, OSError):
                error.filename = str(path)
            raise


_FIXES = {
    "missing": "add the field",
    "extra_forbidden": "remove the field or correct its name",
    "string_pattern_mismatch": "use letters, digits, _ and - only, at most 64 for a tool's name",
    "list_type": "write a list, like [a, b]",
    "model_type": "write one JSON object a line",
    "string_too_short": "write a text",
    "literal_error": "use one of the values named",
}


MAX_ERRORS = 20
"""Faults of one record that are told; a record with hundreds of them has one cause."""


def error_lines(error: ValidationError, where: str) -> list[str]:
    """A validation error's parts, each as ``where: field: expected ...; found .... Fix: ...``."""
    lines = []
    for part in error.errors(include_url=False, include_context=False)[:MAX_ERRORS]:
        field = printable(".".join(str(p) for p in part["loc"])[:200]) or "(record)"
        message = part["msg"]
        if part["type"] == "value_error":
            message = f"{message.removeprefix('Value error, ')}."
        elif part["type"] != "gentool":
            fix = _FIXES.get(part["type"], "correct the value")
            message = f"{message}; found {excerpt(part['input'])}. Fix: {fix}."
        lines.append(printable(f"{where}: {field}: {message}"))
    if error.error_count() > MAX_ERRORS:
        lines.append(f"{where}: and {error.error_count() - MAX_ERRORS} more of its fields")
    return lines


def describe_errors(error: ValidationError, where: str) -> str:
    """:func:`error_lines` as one text."""
    return "\n".join(error_lines(error, where))


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


class JsonlFile(Generic[R]):
    """The records of a JSONL file that has no empty lines, each read when it is asked for by its number.

    Held in memory is where each begins (8 bytes), so a file may be larger than the memory. Use it in a ``with``.
    Raises :class:`RecordError` for a file that cannot be read and, when it is asked for, for a bad record.
    """

    def __init__(self, kind: type[R], path: Path) -> None:
        self._kind = kind
        self._path = path
        self._begins = array("Q")
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise RecordError(f"{path}: cannot be read: {error.strerror}. Fix: check the path.") from None
        begin = 0
        for line in self._file:
            self._begins.append(begin)
            begin += len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._begins)

    def __getitem__(self, number: int) -> R:
        self._file.seek(self._begins[number])
        where = f"{self._path}:{number + 1}"
        value, problem = _line_value(self._file.readline(), number == 0)
        if problem:
            raise RecordError(f"{where}: {problem}")
        return parse_record(self._kind, value, where)


def to_json(record: BaseModel) -> str:
    """A record as one line of JSON, fields that are ``None`` left out."""
    return json.dumps(record.model_dump(mode="json", exclude_none=True), ensure_ascii=False)


def write_jsonl(path: Path, records: Iterable[BaseModel]) -> None:
    """Write records a line each; the file appears whole or not at all."""
    write_text(path, "".join(to_json(r) + "\n" for r in records))
