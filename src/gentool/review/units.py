"""The items of ``synthesis/units.jsonl``: an index of where each one lies; units are read when they are looked at."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from gentool.jsonl import GenToolError, parse_record, strict_json
from gentool.synthesis.records import Item, Status, Unit

_KEPT = 8
"""Units kept in memory: neighbours in the list are often of one unit."""


class ReviewError(GenToolError):
    """A run that cannot be reviewed; says what is missing and which command makes it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the list shows of an item, and where it lies: line ``line`` at byte ``offset``, item ``position`` of it."""

    item: str
    status: Status
    query: str
    tools: tuple[str, str]
    checks: tuple[str, ...]
    line: int
    offset: int
    position: int

    @property
    def words(self) -> str:
        """What a search looks through."""
        return "\n".join((self.query, *self.tools, *self.checks, self.status, self.item)).lower()


class Units:
    """An index of the file, in its order. Of several units of one seed the last one of the ``settings`` counts.

    ``settings``: of units that are looked at; ``None``: all. Holds about a kilobyte an item. Lines that are no JSON
    are left out and counted in ``damaged``, as when pairs are put together. Raises :class:`ReviewError` where there
    is no file, and :class:`gentool.jsonl.RecordError` naming the line of a bad unit.
    """

    def __init__(self, path: Path, settings: str | None = None) -> None:
        self.path = path
        self.settings = settings
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._of_seed: dict[str, list[str]] = {}
        self._recent: OrderedDict[int, Unit] = OrderedDict()
        self._end = 0
        self._lines = 0
        self.damaged = 0

    def refresh(self) -> bool:
        """Read what was appended since; whether there was anything. A line that is being written waits."""
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise ReviewError(
                f"{self.path}: cannot be read: {error.strerror}. Fix: give the folder of a run that "
                "`gentool synthesize RECIPE` has made."
            ) from None
        if size == self._end:
            return False
        if size < self._end:  # another file than before
            self._forget()
        with self.path.open("rb") as file:
            file.seek(self._end)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._lines += 1
                self._read_line(line)
                self._end += len(line)
        return True

    def _read_line(self, line: bytes) -> None:
        try:
            value = strict_json(line.decode())
        except (ValueError, RecursionError):
            self.damaged += bool(line.strip())
            return
        if self.settings is None or not isinstance(value, dict) or value.get("settings") == self.settings:
            self._add(parse_record(Unit, value, f"{self.path}:{self._lines}"), self._lines, self._end)

    def _add(self, unit: Unit, line: int, offset: int) -> None:
        for old in self._of_seed.pop(unit.seed.id, []):
            self.entries.pop(old, None)
        if unit.tools is None:
            return
        names = (unit.tools[0].name, unit.tools[1].name)
        for position, item in enumerate(unit.items):
            checks = tuple(dict.fromkeys(f.check for f in item.findings))
            self.entries[item.id] = Entry(
                item.id, item.status, item.draft.query, names, checks, line, offset, position
            )
        self._of_seed[unit.seed.id] = [item.id for item in unit.items]

    def read(self, entry: Entry) -> tuple[Unit, Item]:
        """An item with the unit it is part of."""
        unit = self._recent.get(entry.offset)
        if unit is None:
            with self.path.open("rb") as file:
                file.seek(entry.offset)
                unit = parse_record(Unit, json.loads(file.readline()), f"{self.path}:{entry.line}")
            self._recent[entry.offset] = unit
            if len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        return unit, unit.items[entry.position]
