"""``units.jsonl``: appended unit by unit, read one by one in any order, however large it is."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gentool.jsonl import RecordError, append_lines, parse_record, to_json
from gentool.synthesis.records import Unit


class Units:
    """The units of a file that were made with ``settings``. Memory: 16 bytes a unit.

    Of several units of a seed the last one counts. A last line that a crash cut short is left out, and cut off
    before something is appended; other lines that are no unit are left out, and counted in ``damaged``.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self.path = path
        self.settings = settings
        self.damaged = 0
        self.end = 0
        """Bytes up to the end of the last whole line."""
        self._read()

    def _read(self) -> None:
        seeds, places = array("Q"), array("Q")
        for place, line in _lines(self.path):
            self.end = place + len(line)
            found = _head(line)
            if found is None:
                self.damaged += 1
            elif found[1] == self.settings:
                seeds.append(int(found[0], 16))
                places.append(place)
        # Stable, and then turned round: the last unit of a seed comes first.
        keys = np.frombuffer(seeds, dtype=np.uint64) if seeds else np.empty(0, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._places = np.frombuffer(places, dtype=np.uint64)[order] if places else keys

    def __len__(self) -> int:
        return len(np.unique(self._keys))

    def _place(self, seed: str) -> int | None:
        key = np.uint64(int(seed, 16))
        at = int(np.searchsorted(self._keys, key, side="right")) - 1
        return int(self._places[at]) if at >= 0 and self._keys[at] == key else None

    def __contains__(self, seed: str) -> bool:
        """Whether there is a unit of the seed with this id."""
        return self._place(seed) is not None

    def get(self, seed: str, file: BinaryIO) -> Unit | None:
        """The unit of a seed; ``file`` is :attr:`path`, open for reading in binary.

        Raises :class:`gentool.jsonl.RecordError` for a line that is no unit.
        """
        place = self._place(seed)
        if place is None:
            return None
        file.seek(place)
        value = json.loads(file.readline())
        try:
            return parse_record(Unit, value, "unit")
        except RecordError as error:
            file.seek(0)
            line = file.read(place).count(b"\n") + 1
            raise RecordError(
                f"{self.path}:{line}: {error} Or delete the line: the unit is made anew, from the answers "
                "that are kept."
            ) from None

    def append(self, unit: Unit) -> None:
        """Add a unit; it is on the disk when this returns. It is not found until the file is read anew."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_lines(self.path, [to_json(unit)])

    def cut(self) -> None:
        """Cut off a last line that is not whole."""
        if self.path.is_file() and self.path.stat().st_size > self.end:
            with self.path.open("r+b") as file:
                file.truncate(self.end)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Place and bytes of each whole line."""
    if not path.is_file():
        return
    place = 0
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield place, line
            place += len(line)


def _head(line: bytes) -> tuple[str, str] | None:
    """Ids of the seed and the settings of a unit's line; ``None`` if it is none."""
    try:
        value = json.loads(line)
        seed, settings = value["seed"]["id"], value["settings"]
        if not re.fullmatch("[0-9a-f]{1,16}", seed):
            return None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return (seed, settings) if isinstance(settings, str) else None
