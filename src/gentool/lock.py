"""One run at a time in a folder: a lock of the operating system, which ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from gentool.jsonl import GenToolError

LOCK = ".lock"
"""The file in a run folder that is locked; it stays there, and means nothing while nobody holds it."""

_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}

if sys.platform == "win32":
    import msvcrt

    def _lock(file: TextIO) -> None:
        file.seek(1 << 30)  # far behind the text, which others may go on reading
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _lock(file: TextIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class LockedError(GenToolError):
    """A folder that another process works in; says which, since when, and what can be done."""


def _owner(file: TextIO) -> str:
    """Who holds the lock, as far as the file tells."""
    try:
        file.seek(0)
        owner = json.loads(file.read())
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


@contextmanager
def locked(folder: Path, name: str = LOCK) -> Iterator[bool]:
    """Keep other processes from writing to ``folder``, which is made if need be, until the block is left.

    ``name``: the file that is locked; a part of the folder that is written to at the same time has one of its own.

    Yields ``False`` where the file system has no locks. Raises :class:`LockedError` if another process is at
    work, ``OSError`` if the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("a+", encoding="utf-8") as file:
        held = True
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _BUSY:
                raise LockedError(
                    f"{folder} is in use by {_owner(file)}. Fix: wait until that run is done or stop it; or give this "
                    "run a folder of its own, with --set name=OTHER."
                ) from None
            held = False
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the note
            since = datetime.now().astimezone().isoformat(timespec="seconds")
            note = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n"
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), note.encode())
        yield held
