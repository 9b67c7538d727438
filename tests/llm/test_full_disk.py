"""A disk that really fills up under a session: what was answered is there, and nothing is asked twice."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.llm.fake_server import FakeServer, completion
from tests.llm.test_client import calls, client
from tests.llm.test_session import asking, contents, stored


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with 7 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=7m", "none", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk needs root on Linux")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up(fake_server: FakeServer, small_disk: Path) -> None:
    fake_server.play = lambda body, n: completion("x" * 20_000)
    path = small_disk / "calls.sqlite"
    found = asking(client(fake_server, path, concurrency=8), calls(500))
    full = next(f for f in found if type(f).__name__ == "DiskFull")
    assert "calls.sqlite: the call cache cannot be used: database or disk is full" in str(full)
    assert "Fix: make room on the disk" in str(full)
    answered = len(fake_server.bodies)
    assert 20 < answered < 500
    assert stored(path) == answered == contents(found).count("x" * 20_000)
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    assert "DiskFull" not in contents(asking(client(fake_server, path), calls(500)))
    assert len(fake_server.bodies) == 500
    assert [p.name for p in small_disk.iterdir()] == ["calls.sqlite"]
