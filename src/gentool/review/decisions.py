"""``reviews.jsonl``: decisions of all reviewers, one a line, appended and never changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gentool.jsonl import RecordError, append_lines, parse_record, strict_json, to_json
from gentool.lock import LockedError, locked
from gentool.synthesis.gate import standing
from gentool.synthesis.records import Decision

LOCK = ".reviews.lock"
_PATIENCE = 10.0
"""Seconds to wait for another reviewer's append, which takes milliseconds."""


class Decisions:
    """The decisions in a run folder, of this process and of others that review at the same time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "reviews.jsonl"
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self.by_item: dict[str, list[Decision]] = {}
        self._end = 0
        self._lines = 0

    def of(self, item: str) -> Sequence[Decision]:
        """All decisions on an item, in order."""
        return self.by_item.get(item, ())

    def standing(self, item: str) -> dict[str, Decision]:
        """Reviewer -> the decision on an item that counts."""
        return standing(self.of(item))

    def refresh(self) -> None:
        """Read what was appended since, by whomever. Raises :class:`RecordError` naming the line at fault."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size < self._end:  # another file than before
            self._forget()
        if size == self._end:
            return
        with self.path.open("rb") as file:
            file.seek(self._end)
            for line in file:
                if not line.endswith(b"\n"):  # being written, or cut short
                    break
                if line.strip():
                    decision = self._parse(line, self._lines + 1)
                    self.by_item.setdefault(decision.item, []).append(decision)
                self._lines += 1
                self._end += len(line)

    def _parse(self, line: bytes, number: int) -> Decision:
        where = f"{self.path}:{number}"
        try:
            value = strict_json(line.decode())
        except (ValueError, RecursionError) as error:
            raise RecordError(
                f"{where}: expected one decision a line, as JSON; found {str(error)[:120]}. Fix: correct or remove it."
            ) from None
        return parse_record(Decision, value, where)

    def append(self, decision: Decision) -> None:
        """Write a decision down; it is on the disk when this returns. Raises ``OSError``, :class:`LockedError`."""
        with self._turn():
            self.refresh()
            self._mend()
            append_lines(self.path, [to_json(decision)])
            self.refresh()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until no other process appends."""
        end = time.monotonic() + _PATIENCE
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(locked(self.path.parent, LOCK))
                    break
                except LockedError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.005)
            yield

    def _mend(self) -> None:
        """A last line that was cut short, when a machine failed, was never a decision: take it away."""
        if not self.path.exists():
            return
        with self.path.open("r+b") as file:
            file.seek(self._end)
            rest = file.read()
            if not rest.strip():
                return
            try:
                strict_json(rest.decode())
            except (ValueError, RecursionError):
                file.truncate(self._end)
            else:
                file.write(b"\n")  # written by hand, without the last line break
