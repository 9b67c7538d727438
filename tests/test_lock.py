"""One run at a time in a folder."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gentool import lock
from gentool.lock import LOCK, LockedError, locked
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config

HOLDER = """
import sys, time
from pathlib import Path
from gentool.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a [b]"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError) as found, locked(folder):
            pass
        owner = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        assert owner["pid"] == holder.pid
        for part in (
            str(folder),
            f"process {holder.pid}",
            owner["host"],
            owner["since"],
            "Fix: wait",
            "--set name=",
        ):
            assert part in str(found.value)
    finally:
        holder.kill()
        holder.wait()
    with locked(folder) as held:
        assert held
        assert json.loads((folder / LOCK).read_text(encoding="utf-8"))["pid"] == os.getpid()


def test_a_lock_that_was_left_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path) as held:
            assert held


def test_a_lock_without_a_note_still_holds(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / LOCK).write_text("")
        with pytest.raises(LockedError, match="in use by another process"), locked(tmp_path):
            pass


def test_a_file_system_without_locks_is_worked_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock, "_lock", refuse)
    with locked(tmp_path) as held:
        assert not held


def test_only_the_first_of_several_processes_takes_the_lock(
    tmp_path: Path, recipe: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(recipe)
    run = Run(load_config(recipe()), tmp_path / "run", Progress())
    done: list[str] = []
    monkeypatch.setattr(run, "_until", done.append)
    with locked(run.folder):
        with pytest.raises(LockedError):
            run.until("build")
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "1")
        run.until("build")
        monkeypatch.setenv("RANK", "0")
        with pytest.raises(LockedError):
            run.until("build")
    assert done == ["build"]
