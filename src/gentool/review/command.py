"""The command ``gentool review``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gentool.config import ConfigError


def review(
    folder: Annotated[Path, typer.Argument(help="A run folder, for example runs/mine.")],
    reviewer: Annotated[str | None, typer.Option(help="Your name; the login name if not given.")] = None,
    sample: Annotated[
        str, typer.Option(metavar="N|all", help="Accepted items to look at, drawn at random.")
    ] = "50",
    seed: Annotated[int, typer.Option(help="Of the draw; the same for all reviewers.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print the tables of all decisions, without a page.")
    ] = False,
) -> None:
    """Look at synthesized queries one by one: accept, reject, edit.

    Opens a page on 127.0.0.1. Each decision is appended to reviews.jsonl at
    once; `gentool build` applies them. Ctrl-C ends it.

    \b
    Examples:
      gentool review runs/mine --reviewer ada --sample 100
      gentool review runs/mine --summary
    """
    from gentool.review.review import Review
    from gentool.review.serve import print_summary, reviewer_name, serve

    number = _sample(sample)
    if summary:
        print_summary(folder, number, seed, Console())
        return
    serve(Review(folder, reviewer_name(reviewer), number, seed), port, not no_browser, Console())


def _sample(text: str) -> int | None:
    """A number of items; ``None`` for all. Raises :class:`gentool.config.ConfigError`."""
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"--sample: expected a number or all; found {text!r}.")
    return int(text)
