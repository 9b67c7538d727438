"""The call cache: what is put is there, whatever happens to the process; faults have one clear message."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gentool.llm.cache import CacheError, CallCache, Entry

REPLY = {"choices": [{"message": {"content": "Zürich \ud800"}}], "created": 3}


def test_what_is_put_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "calls.sqlite"
    cache = CallCache(path)
    assert cache.get("a") is None
    cache.put("a", REPLY)
    cache.put("a", REPLY)
    cache.close()
    again = CallCache(path)
    assert again.get("a") == REPLY
    assert again.get("b") is None
    again.close()
    assert [p.name for p in path.parent.iterdir()] == ["calls.sqlite"], "nothing else is left lying about"


def test_a_killed_process_loses_nothing_that_was_put(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from gentool.llm.cache import CallCache\n"
        "CallCache(Path(sys.argv[1])).put('a', {'n': 1})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    cache = CallCache(path)
    assert cache.get("a") == {"n": 1}
    cache.close()


def test_two_at_once(tmp_path: Path) -> None:
    one, two = CallCache(tmp_path / "calls.sqlite"), CallCache(tmp_path / "calls.sqlite")
    one.put("a", {"n": 1})
    two.put("b", {"n": 2})
    assert (one.get("b"), two.get("a")) == ({"n": 2}, {"n": 1})
    one.close()
    two.close()


def test_locked(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    cache = CallCache(path, patience=0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CacheError, match=r"calls\.sqlite.*locked.*Fix: end the other process"):
        cache.put("a", REPLY)
    other.execute("ROLLBACK")
    other.close()
    cache.put("a", REPLY)
    cache.close()


def test_damaged(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"this is no database, and long enough to tell" * 200)
    with pytest.raises(CacheError, match=r"calls\.sqlite.*Fix: move the file away"):
        CallCache(path)
    assert path.read_bytes().startswith(b"this is no database"), "it is not touched"


def test_damaged_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    cache = CallCache(path)
    for n in range(200):
        cache.put(f"{n:064}", {"text": "x" * 500})
    cache.close()
    raw = bytearray(path.read_bytes())
    raw[4096 : len(raw)] = b"\xff" * (len(raw) - 4096)
    path.write_bytes(raw)
    with pytest.raises(CacheError, match="Fix: move the file away"):
        cache = CallCache(path)
        for n in range(200):
            cache.get(f"{n:064}")


def test_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 7")
    base.close()
    with pytest.raises(CacheError, match="expected a call cache of version 2; found version 7"):
        CallCache(path)


def test_requests_are_kept_beside_the_replies(tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "calls.sqlite")
    cache.put("a", REPLY, {"messages": ["é\ud800"]})
    cache.put("b", REPLY)
    assert cache.request("a") == {"messages": ["é\ud800"]}
    assert cache.request("b") is cache.request("c") is None
    cache.close()


def test_a_cache_of_version_1_is_read_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE calls (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")
    base.execute("INSERT INTO calls VALUES ('old', '{\"n\": 1}')")
    base.execute("PRAGMA user_version = 1")
    base.commit()
    base.close()
    cache = CallCache(path)
    cache.put("new", {"n": 2}, {"model": "m"})
    assert (cache.get("old"), cache.get("new")) == ({"n": 1}, {"n": 2})
    assert (cache.request("old"), cache.request("new")) == (None, {"model": "m"})
    cache.close()


def test_several_are_put_as_one_all_or_none(tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "calls.sqlite")
    cache.put_all([Entry("a", {"n": 1}), Entry("b", {"n": 2})])
    with pytest.raises(TypeError):
        cache.put_all([Entry("c", {"n": 3}), Entry("d", {"n": object()})])
    assert [cache.get(k) for k in "abcd"] == [{"n": 1}, {"n": 2}, None, None]
    cache.close()


def test_what_is_read_does_not_wait_for_what_is_written(tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "calls.sqlite", patience=0)
    cache.put("a", REPLY)
    cache._writer.execute("BEGIN IMMEDIATE")
    assert cache.get("a") == REPLY
    cache._writer.execute("ROLLBACK")
    cache.close()


def test_a_row_that_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    cache = CallCache(path)
    cache.put("a", REPLY)
    other = sqlite3.connect(path)
    for bad in ("[1]", "{", ""):
        other.execute("UPDATE calls SET reply = ?", (bad,))
        other.commit()
        with pytest.raises(CacheError, match="call a: expected a JSON object"):
            cache.get("a")
    other.close()
    cache.close()


def test_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CacheError, match="Fix: check that the folder can be written to"):
        CallCache(tmp_path / "file" / "calls.sqlite")
