"""The review page until Ctrl-C, and the summary of all decisions."""

from __future__ import annotations

import getpass
import os
import signal
import sys
import webbrowser
from pathlib import Path
from types import FrameType

from rich.console import Console

from gentool.jsonl import GenToolError
from gentool.review.review import Review
from gentool.review.server import ReviewServer
from gentool.review.tally import summary_tables
from gentool.review.units import ReviewError

_LONGEST_NAME = 100


def reviewer_name(given: str | None) -> str:
    """The reviewer's name, the login name if none is given. Raises :class:`ReviewError`."""
    name = given if given is not None else _login()
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ReviewError(
            f"--reviewer: expected a name of 1 to {_LONGEST_NAME} printable characters; found {name[:120]!r}. "
            "Fix: give one, such as --reviewer ada."
        )
    return name.strip()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without an entry
        raise ReviewError(
            "--reviewer: the login name is not known. Fix: give one, such as --reviewer ada."
        ) from None


def serve(review: Review, port: int, browser: bool, console: Console) -> None:
    """Serve the page until Ctrl-C or SIGTERM, then say what was decided.

    Raises :class:`GenToolError` where the port is taken.
    """
    try:
        server = ReviewServer(review, port)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise GenToolError(f"--port {port}: {reason}. Fix: leave --port out to take a free one.") from None
    console.print(
        f"Review of {review.folder} by {review.reviewer}:", markup=False, highlight=False, soft_wrap=True
    )
    console.print(f"  {server.url}", markup=False, highlight=False, soft_wrap=True)
    console.print("Ctrl-C ends it; every decision is on disk at once.", highlight=False)
    if review.units.damaged:
        console.print(
            f"{review.units.path}: {review.units.damaged} damaged lines are left out.", markup=False
        )
    if browser and _has_display():
        webbrowser.open(server.url)
    # A shell that starts a job in the background has Ctrl-C ignored in it; whoever signals this process means it.
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        server.server_close()
        review.close()
    console.print(told(review), markup=False, highlight=False, soft_wrap=True)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _has_display() -> bool:
    """Whether a browser can open a window; else one for the terminal might, and take it over."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def told(review: Review) -> str:
    """What was decided in this session, in a sentence."""
    words = {"accept": "accepted", "edit": "edited", "reject": "rejected", "undo": "taken back"}
    parts = [f"{review.made[kind]} {word}" for kind, word in words.items() if review.made[kind]]
    counted = review.tally()
    done = next((r.done for r in counted.reviewers if r.reviewer == review.reviewer), 0)
    return (
        f"Decided now: {', '.join(parts) or 'nothing'}. Of {counted.to_review:,} items to review {done:,} are decided. "
        f"Decisions: {review.decisions.path}"
    )


def print_summary(folder: Path, sample: int | None, seed: int, console: Console) -> None:
    """The tables of all decisions in a run folder."""
    review = Review(folder, "", sample, seed)
    for table in summary_tables(review.tally()):
        console.print(table)
