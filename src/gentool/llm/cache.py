"""Answers of servers on disk: what was paid for once is not asked again."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gentool.jsonl import GenToolError

_VERSION = 2


class CacheError(GenToolError):
    """A call cache that cannot be used; names the file and the fix."""


class DiskFull(CacheError):
    """There is no room for more answers."""


class Entry(NamedTuple):
    """A reply (a JSON object) to the call of a key (a hash), and the body that was sent, if it is to be kept."""

    key: str
    reply: Mapping[str, Any]
    request: Mapping[str, Any] | None = None


class CallCache:
    """One SQLite file of :class:`Entry`. What is put is on disk when :meth:`put` or :meth:`put_all` returns.

    Several processes may share it; one thread may read while another one writes. Raises :class:`CacheError` where the
    file is damaged or stays locked.
    """

    def __init__(self, path: Path, patience: float = 10.0) -> None:
        """``patience``: seconds to wait for another process that writes."""
        self.path = path
        self._writing = threading.Lock()
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = _connect(path, patience)
            self._writer = _connect(path, patience)  # its own: a commit does not hold up those who read
        try:
            self._prepare()
        except CacheError:
            self.close()
            raise

    def _prepare(self) -> None:
        with self._explained():
            version = int(self._base.execute("PRAGMA user_version").fetchone()[0])
            if version not in (0, 1, _VERSION):
                raise CacheError(
                    f"{self.path}: expected a call cache of version {_VERSION}; found version {version}. Fix: use "
                    "the GenTool that made it, or move the file away (its answers are then asked and paid again)."
                )
            self._base.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = FULL")
            if version < _VERSION:
                self._upgrade()

    def _upgrade(self) -> None:
        """A new file, or one of version 1, which had no requests; another process may be doing the same."""
        with _transaction(self._writer) as base:
            base.execute("CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")
            if not any(row[1] == "request" for row in base.execute("PRAGMA table_info(calls)")):
                base.execute("ALTER TABLE calls ADD COLUMN request TEXT")
            base.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            text = str(error)
            full = "full" in text
            if "locked" in text:
                fix = "end the other process that uses it, or wait for it; then run the same command again"
            elif full:
                fix = "make room on the disk; then run the same command again"
            elif isinstance(error, sqlite3.OperationalError | OSError):
                fix = "check that the folder can be written to and lies on a local disk"
            else:
                fix = "move the file away (its answers are then asked and paid again)"
            kind = DiskFull if full else CacheError
            raise kind(f"{self.path}: the call cache cannot be used: {text}. Fix: {fix}.") from None

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply to a call, if there is one."""
        found = self._row(key)
        return None if found is None else self._object(key, found[0])

    def request(self, key: str) -> dict[str, Any] | None:
        """The body of a call that was answered, where it was kept."""
        found = self._row(key)
        return None if found is None or found[1] is None else self._object(key, found[1])

    def _row(self, key: str) -> Any:
        with self._explained():
            return self._base.execute("SELECT reply, request FROM calls WHERE key = ?", (key,)).fetchone()

    def _object(self, key: str, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise CacheError(
                f"{self.path}: call {key[:12]}: expected a JSON object; found {text[:60]!r}. Fix: move the file "
                "away (its answers are then asked and paid again)."
            )
        return value

    def put(self, key: str, reply: Mapping[str, Any], request: Mapping[str, Any] | None = None) -> None:
        """Keep the reply to a call."""
        self.put_all([Entry(key, reply, request)])

    def put_all(self, entries: Sequence[Entry]) -> None:
        """Keep several replies in one write to the disk: all or, if it fails, none."""
        # ASCII: half a character (a lone surrogate) in a reply is no UTF-8.
        rows = [
            (key, json.dumps(dict(reply)), None if request is None else json.dumps(dict(request)))
            for key, reply, request in entries
        ]
        with self._writing, self._explained(), _transaction(self._writer) as base:
            base.executemany("INSERT OR REPLACE INTO calls (key, reply, request) VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Waits for a write under way."""
        with self._writing:
            self._writer.close()
            self._base.close()


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)


@contextmanager
def _transaction(base: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    base.execute("BEGIN IMMEDIATE")
    try:
        yield base
        base.execute("COMMIT")
    except BaseException:
        if base.in_transaction:
            base.execute("ROLLBACK")
        raise
