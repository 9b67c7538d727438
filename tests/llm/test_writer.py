"""Replies that land together share one write; a full disk costs nothing that was paid for."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from gentool.llm.cache import CacheError, CallCache, DiskFull, Entry
from gentool.llm.writer import CacheWriter, Spare


class Counting(CallCache):
    """Counts its writes; the first one waits for ``go``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes: list[int] = []
        self.go = threading.Event()

    def put_all(self, entries: Any) -> None:
        self.go.wait(20)
        self.writes.append(len(entries))
        super().put_all(entries)


def test_what_lands_during_a_write_shares_the_next(tmp_path: Path) -> None:
    cache = Counting(tmp_path / "c.sqlite")

    async def work() -> None:
        writer = CacheWriter(cache)
        first = asyncio.create_task(writer.put(Entry("first", {})))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(writer.put(Entry(f"{n}", {"n": n}))) for n in range(50)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in [first, *rest]), "nothing is done before it is on disk"
        cache.go.set()
        await asyncio.gather(first, *rest)
        await writer.put(Entry("last", {}))
        writer.close()

    asyncio.run(work())
    assert cache.writes == [1, 50, 1]
    assert cache.get("49") == {"n": 49}
    cache.close()


def test_an_error_reaches_everybody_and_the_next_write_is_tried(tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "c.sqlite")
    fails = [True]
    put_all = cache.put_all

    def put(entries: Any) -> None:
        if fails.pop():
            raise CacheError("locked")
        put_all(entries)

    cache.put_all = put  # type: ignore[method-assign]

    async def work() -> None:
        writer = CacheWriter(cache)
        found = await asyncio.gather(*(writer.put(Entry(k, {})) for k in "ab"), return_exceptions=True)
        assert [str(f) for f in found] == ["locked", "locked"]
        fails.append(False)
        assert await writer.put(Entry("c", {"n": 3})) is None
        writer.close()

    asyncio.run(work())
    assert (cache.get("a"), cache.get("c")) == (None, {"n": 3})
    cache.close()


def test_spare_room_is_used_once(tmp_path: Path) -> None:
    spare = Spare(tmp_path / "spare", 1000)
    assert spare.path.stat().st_size == 1000 and spare.used_for is None
    error = DiskFull("full")
    assert spare.use_for(error)
    assert not spare.path.exists() and spare.used_for is error
    assert not spare.use_for(DiskFull("again")) and spare.used_for is error


def test_a_spare_file_of_a_killed_process_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "spare").write_bytes(b"x" * 50_000)
    spare = Spare(tmp_path / "spare", 1000)
    assert spare.path.stat().st_size == 1000
    spare.give_up()
    spare.give_up()
    assert not list(tmp_path.iterdir())


def test_no_room_for_a_spare_file_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spare = Spare(tmp_path / "no folder" / "spare", 1000)
    assert not spare.use_for(DiskFull("full"))
