"""Runs the command line in forked children that end where they are told to.

A script for ``tests/test_survival.py``: it imports all that is slow once, then reads one order a line (JSON) from stdin
and answers each with the child's exit code, negative for a signal. Not for use with threads: it forks. With the word
``light`` nothing that trains is imported.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
import threading
import time
from typing import Any

if "light" not in sys.argv:
    import peft  # noqa: F401
    import torch
    from transformers import Qwen3ForCausalLM, Trainer  # noqa: F401

from gentool.cli import main
from gentool.progress import Progress

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


def _watch(pattern: str, count: int, number: int) -> None:
    """Send this process signal ``number`` at the ``count``-th event that matches ``pattern``.

    Events are changes to files, named before they happen (``open PATH``, ``rename PATH``, ``remove PATH``,
    ``mkdir PATH``, ``rmdir PATH``), and steps of training and batches of answers (``step LABEL``).
    """
    seen = 0

    def event(text: str) -> None:
        nonlocal seen
        if re.search(pattern, text):
            seen += 1
            if seen == count:
                os.kill(os.getpid(), number)

    def audit(name: str, args: tuple[Any, ...]) -> None:
        if name == "open" and isinstance(args[0], str | os.PathLike) and isinstance(args[2], int):
            if args[2] & (os.O_WRONLY | os.O_RDWR):
                event(f"open {os.fspath(args[0])}")
        elif name in _CHANGES:
            event(f"{name.removeprefix('os.')} {args[1] if name == 'os.rename' else args[0]}")

    update = Progress.update

    def step(self: Progress, task: Any, done: int) -> None:
        event(f"step {self._labels[task][0]}")
        update(self, task, done)

    Progress.update = step  # type: ignore[method-assign]
    sys.addaudithook(audit)


def _end_after(seconds: float, number: int) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), number)


def _child(order: dict[str, Any]) -> None:
    os.chdir(order["folder"])
    printed = os.open("printed.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    sys.argv = ["gentool", *order["words"]]
    if limit := order.get("largest_file"):
        if order.get("dies"):  # in the middle of the write; Python would see an error of the disk
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if "at" in order:
        _watch(order["at"], order["count"], order["signal"])
    if "after" in order:
        threading.Thread(target=_end_after, args=(order["after"], order["signal"]), daemon=True).start()
    code: Any = 1
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or 0))


if __name__ == "__main__":
    if "light" not in sys.argv:
        torch.set_num_threads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _child(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
