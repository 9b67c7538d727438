"""Replies on their way to the disk: those that land together share one write, beside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from gentool.llm.cache import CallCache, DiskFull, Entry

SPARE = 4 * 1024 * 1024
"""Bytes kept free for the replies that are under way when the disk fills up."""


class CacheWriter:
    """Puts entries into a cache, for one event loop. Made for the time of a session; :meth:`close` ends it."""

    def __init__(self, cache: CallCache, spare: int = SPARE) -> None:
        self._cache = cache
        self._spare = Spare(cache.path.with_name(f"{cache.path.name}.spare"), spare)
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None

    async def put(self, entry: Entry) -> DiskFull | None:
        """Keep an entry; it is on disk on return. Raises :class:`gentool.llm.cache.CacheError`.

        Returns an error if only the spare room was left for it: no further reply can be kept.
        """
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, kept))
        if self._work is None:
            self._work = asyncio.create_task(self._write())
        await kept
        return self._spare.used_for

    async def _write(self) -> None:
        while self._waiting:
            landed, self._waiting = self._waiting, []
            error: BaseException | None = None
            try:
                await asyncio.to_thread(self._put_all, [entry for entry, _ in landed])
            except BaseException as caught:
                error = caught
            for _, kept in landed:
                if kept.done():
                    continue
                if error is None:
                    kept.set_result(None)
                else:
                    kept.set_exception(error)
            if isinstance(error, asyncio.CancelledError):
                raise error
        self._work = None

    def _put_all(self, entries: list[Entry]) -> None:
        try:
            self._cache.put_all(entries)
        except DiskFull as error:
            if not self._spare.use_for(error):
                raise
            self._cache.put_all(entries)

    def close(self) -> None:
        self._spare.give_up()


class Spare:
    """A file that only takes up room, until that is needed more urgently. None is made on a disk that is full."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.used_for: DiskFull | None = None
        try:
            with path.open("wb") as file:
                file.write(os.urandom(size))  # zeros may take up no room
        except OSError:
            self.give_up()

    def use_for(self, error: DiskFull) -> bool:
        """Make room; ``False`` if that was done before."""
        first = self.used_for is None and self.path.exists()
        self.used_for = self.used_for or error
        self.give_up()
        return first

    def give_up(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
