"""Answers of servers on disk: what was paid for once is not asked again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gentool.jsonl import GenToolError

_VERSION = 1


class CacheError(GenToolError):
    """A call cache that cannot be used; names the file and the fix."""


class CallCache:
    """One SQLite file: key of a call (a hash) -> reply (a JSON object). Each reply is on disk when ``put`` returns.

    Several processes may share it. Raises :class:`CacheError` where the file is damaged or stays locked.
    """

    def __init__(self, path: Path, patience: float = 10.0) -> None:
        """``patience``: seconds to wait for another process that writes."""
        self.path = path
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=patience, isolation_level=None)
        try:
            self._prepare()
        except CacheError:
            self._base.close()
            raise

    def _prepare(self) -> None:
        with self._explained():
            version = int(self._base.execute("PRAGMA user_version").fetchone()[0])
            if version not in (0, _VERSION):
                raise CacheError(
                    f"{self.path}: expected a call cache of version {_VERSION}; found version {version}. Fix: use "
                    "the GenTool that made it, or move the file away (its answers are then asked and paid again)."
                )
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            if version == 0:
                self._base.execute(
                    "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, reply TEXT NOT NULL)"
                )
                self._base.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            text = str(error)
            if "locked" in text:
                fix = "end the other process that uses it, or wait for it; then run the same command again"
            elif "disk" in text and "full" in text:
                fix = "make room on the disk; then run the same command again"
            elif isinstance(error, sqlite3.OperationalError | OSError):
                fix = "check that the folder can be written to and lies on a local disk"
            else:
                fix = "move the file away (its answers are then asked and paid again)"
            raise CacheError(f"{self.path}: the call cache cannot be used: {text}. Fix: {fix}.") from None

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply to a call, if there is one."""
        with self._explained():
            row = self._base.execute("SELECT reply FROM calls WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            reply = json.loads(row[0])
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise CacheError(
                f"{self.path}: call {key[:12]}: expected a JSON object; found {row[0][:60]!r}. Fix: move the file "
                "away (its answers are then asked and paid again)."
            )
        return reply

    def put(self, key: str, reply: Mapping[str, Any]) -> None:
        """Keep the reply to a call."""
        with self._explained():
            # ASCII: half a character (a lone surrogate) in a reply is no UTF-8.
            self._base.execute("INSERT OR REPLACE INTO calls VALUES (?, ?)", (key, json.dumps(dict(reply))))

    def close(self) -> None:
        self._base.close()
