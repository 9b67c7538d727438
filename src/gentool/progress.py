"""Progress bars with the time left, and a Ctrl-C or SIGTERM that lets the work at hand come to a safe stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from gentool.jsonl import printable


class Stopped(KeyboardInterrupt):
    """Work was asked to stop, saved what it had and stopped."""


class Progress:
    """Bars on a terminal, a line now and then elsewhere. ``stopping`` turns true on the first Ctrl-C or SIGTERM.

    ``signal`` is the number of that signal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.stopping = False
        self.signal: int = signal.SIGINT
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._labels: dict[TaskID, tuple[str, int, float]] = {}

    def say(self, text: str) -> None:
        """Print a line above the bars. It may come from a server: nothing in it is markup, or steers the terminal."""
        self._bars.console.print(
            printable(text), markup=False, highlight=False, soft_wrap=not self.console.is_terminal
        )

    def start(self, label: str, total: int) -> TaskID:
        """A new bar of ``total`` steps."""
        task = self._bars.add_task(label, total=total)
        self._labels[task] = (label, total, time.monotonic())
        if not self.console.is_terminal:
            self.say(f"{label}: {total} to do")
        return task

    def update(self, task: TaskID, done: int) -> None:
        """``done`` of the bar's steps are done; a bar that is full becomes a line."""
        self._bars.update(task, completed=done)
        label, total, begun = self._labels[task]
        if done >= total:
            self._bars.update(task, visible=False)
            self.say(f"{label}: done in {time.monotonic() - begun:.0f} s")

    def describe(self, task: TaskID, text: str) -> None:
        """Change what stands beside the bar; the line that it becomes keeps its label."""
        self._bars.update(task, description=text)

    @contextmanager
    def running(self) -> Iterator[Progress]:
        """Show the bars; the first Ctrl-C or SIGTERM (clusters send it) asks for a stop, the second stops at once."""

        def ask(number: int, frame: FrameType | None) -> None:
            if self.stopping:
                raise KeyboardInterrupt
            self.stopping = True
            self.signal = number
            with suppress(RuntimeError):  # the signal came in the middle of printing
                self.say("Stopping after the step at hand; Ctrl-C again stops at once.")

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with self._bars:
                yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
