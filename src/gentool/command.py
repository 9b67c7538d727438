"""What the commands of the command line have in common."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gentool.config import Config
from gentool.disk import disk_error
from gentool.jsonl import printable
from gentool.pipeline import Run, Step
from gentool.processes import is_first
from gentool.progress import Progress
from gentool.recipe import load_config

if TYPE_CHECKING:
    from gentool.synthesis.plan import Plan

Recipe = Annotated[Path, typer.Argument(help="The YAML file of the run, for example recipes/demo.yaml.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change an option, e.g. --set train.learning_rate=1e-5."),
]
Runs = Annotated[Path, typer.Option("--runs", help="Where run folders lie.")]
RUNS = Path("runs")


def escape(text: str) -> str:
    """``text`` without meaning for rich."""
    from rich.markup import escape

    return escape(text)


def fail(message: str) -> typer.Exit:
    """Print an error; what is to be raised then."""
    text = escape(printable(message))
    Console(stderr=True).print(f"[bold red]error:[/] {text}", highlight=False, soft_wrap=True)
    return typer.Exit(2)


def again() -> str:
    """The command that was given, to be given again."""
    module = Path(sys.argv[0]).name == "__main__.py"
    return shlex.join([*([sys.executable, "-m", "gentool"] if module else sys.argv[:1]), *sys.argv[1:]])


@contextmanager
def stoppable(folder: Path, progress: Progress) -> Iterator[None]:
    """Work on ``folder`` that Ctrl-C and SIGTERM stop at a safe point; a stop or a full disk ends with how to go on."""
    try:
        with progress.running():
            yield
    except KeyboardInterrupt:
        Console(stderr=True).print(
            f"Stopped; what was done is kept. To go on: {escape(again())}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(128 + progress.signal) from None
    except Exception as error:
        if (fault := disk_error(error, folder, again())) is None:
            raise
        raise fault from None


def run_until(recipe: Path, settings: list[str] | None, runs: Path, until: Step) -> Run:
    """Do the steps of a recipe up to ``until``; of several processes only the first one comes back.

    A teacher behind a server is asked for what is missing only if all is to be done, up to the report.
    """
    config: Config = load_config(recipe, settings)
    return run_config(config, runs / config.name, until, ask=until == "report")


def look_at(recipe: Path, settings: list[str] | None, runs: Path, scratch: Path) -> Run:
    """What ``build`` would make of a recipe, in the folder ``scratch``: looking changes nothing, and asks nobody."""
    config: Config = load_config(recipe, settings)
    return run_config(config, scratch / config.name, "build", ask=False, made=runs / config.name)


def run_config(
    config: Config,
    folder: Path,
    until: Step,
    plan: Plan | None = None,
    ask: bool = True,
    made: Path | None = None,
) -> Run:
    """The steps for options that were read and a folder; ``plan``, ``ask`` and ``made`` as in :class:`Run`."""
    progress = Progress(None if is_first() else Console(quiet=True))
    with stoppable(folder, progress):
        run = Run(config, folder, progress, plan, ask, made)
        run.until(until)
    if not is_first():
        raise typer.Exit
    return run
