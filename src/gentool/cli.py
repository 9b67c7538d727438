"""The command line: parse, call, print. Torch and transformers are imported by the steps that need them."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from gentool import __version__
from gentool.config import Config, ConfigError, load_config
from gentool.jsonl import GenToolError
from gentool.pipeline import Run, Step
from gentool.processes import is_first
from gentool.progress import Progress
from gentool.records import check_now

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

Recipe = Annotated[Path, typer.Argument(help="The YAML file of the run, for example recipes/demo.yaml.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change an option, e.g. --set train.learning_rate=1e-5."),
]
Runs = Annotated[Path, typer.Option("--runs", help="Where run folders lie.")]
_RUNS = Path("runs")


def _fail(message: str) -> typer.Exit:
    Console(stderr=True).print(f"[bold red]error:[/] {_escape(message)}", highlight=False, soft_wrap=True)
    return typer.Exit(2)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _run(recipe: Path, settings: list[str] | None, runs: Path, until: Step) -> Run:
    config: Config = load_config(recipe, settings)
    progress = Progress(None if is_first() else Console(quiet=True))
    run = Run(config, runs / config.name, progress)
    module = Path(sys.argv[0]).name == "__main__.py"
    again = shlex.join([*([sys.executable, "-m", "gentool"] if module else sys.argv[:1]), *sys.argv[1:]])
    try:
        with progress.running():
            run.until(until)
    except KeyboardInterrupt:
        Console(stderr=True).print(
            f"Stopped; what was done is kept. To go on: {_escape(again)}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(130) from None
    if not is_first():
        raise typer.Exit
    return run


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Teach small language models to use tools they were not trained on.

    \b
    A run is one YAML file (a recipe) and one folder, runs/NAME. Every command
    does what is missing before it, skips what is done, and goes on where it
    was stopped.

    \b
    Examples:
      gentool run recipes/demo.yaml               all of it, up to the report
      gentool preview recipes/demo.yaml           what is trained, by token
      gentool import tools.json --out catalogue   OpenAI or MCP tools
      gentool predict --model M --tools tools.json "Will it rain in Bergen?"
    """
    if version:
        print(f"gentool {__version__}")
        raise typer.Exit


@app.command()
def run(recipe: Recipe, set_: Settings = None, runs: Runs = _RUNS) -> None:
    """Do everything: build, train, evaluate, report.

    Ctrl-C stops at the next safe point; the same command goes on from there.

    \b
    Examples:
      gentool run recipes/demo.yaml
      gentool run recipes/demo.yaml --set name=lora --set train.method=lora
      gentool run recipes/demo.yaml --set "seeds=[0,1,2]"
    """
    done = _run(recipe, set_, runs, "report")
    from gentool.evaluation.table import score_tables

    scores = json.loads((done.folder / "scores.json").read_text(encoding="utf-8"))
    console = Console()
    for table in score_tables(scores):
        console.print(table)
    console.print(f"Report: {(done.folder / 'report.html').resolve()}", soft_wrap=True)


@app.command()
def build(recipe: Recipe, set_: Settings = None, runs: Runs = _RUNS) -> None:
    """Make training samples and the probes of the four scenarios from tool pairs.

    \b
    Examples:
      gentool build recipes/demo.yaml
      gentool build recipes/demo.yaml --set scenarios.k=10
    """
    folder = _run(recipe, set_, runs, "build").scenarios
    print(f"Scenarios: {folder}")


@app.command()
def train(recipe: Recipe, set_: Settings = None, runs: Runs = _RUNS) -> None:
    """Train all arms of a recipe, stage after stage.

    \b
    Example:
      gentool train recipes/demo.yaml --set train.epochs=2
    """
    folder = _run(recipe, set_, runs, "train").folder
    print(f"Checkpoints: {folder / 'stages'}")


@app.command()
def evaluate(recipe: Recipe, set_: Settings = None, runs: Runs = _RUNS) -> None:
    """Ask all models of a recipe, and score their answers on the four scenarios.

    \b
    Example:
      gentool evaluate recipes/demo.yaml --set evaluate.max_prompts=300
    """
    folder = _run(recipe, set_, runs, "evaluate").folder
    print(f"Scores: {folder / 'scores.json'}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder, for example runs/demo.")],
) -> None:
    """Write the HTML report of a run folder.

    \b
    Example:
      gentool report runs/demo
    """
    from gentool.report.write import write_report

    print(f"Report: {write_report(folder).resolve()}")


@app.command()
def preview(
    recipe: Recipe,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many samples.")] = 2,
    task: Annotated[str, typer.Option(help="rank, select, joint, or all.")] = "all",
    set_: Settings = None,
) -> None:
    """Show training samples as the model sees them, the trained tokens coloured.

    \b
    Example:
      gentool preview recipes/demo.yaml -n 1 --task select
    """
    from gentool.training.preview import preview_samples

    if task not in ("rank", "select", "joint", "all"):
        raise ConfigError(f"--task: expected rank, select, joint or all; found {task!r}")
    console = Console()
    with tempfile.TemporaryDirectory() as folder:  # looking changes nothing
        made = _run(recipe, set_, Path(folder), "build")
        for panel in preview_samples(made.config, made.base(), made.samples(), made.tools(), number, task):
            console.print(panel)


@app.command(name="import")
def import_(
    path: Annotated[Path, typer.Argument(help="A file of OpenAI tools or MCP `tools/list` results.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("catalogue"),
    format_: Annotated[
        str | None, typer.Option("--format", help="openai or mcp; recognized by itself if not given.")
    ] = None,
) -> None:
    """Read a tool catalogue; say what was read, repaired and rejected, and why.

    \b
    Writes tools.jsonl, rejected.jsonl, repaired.jsonl, duplicates.jsonl and
    names.json (new name -> original name).

    \b
    Examples:
      gentool import tools.json
      gentool import mcp_servers.jsonl.gz --out catalogue
    """
    from gentool.catalog.importer import import_tools, summary_table
    from gentool.catalog.save import write_imported

    imported = import_tools(path, format_)
    write_imported(imported, out)
    Console().print(summary_table(imported))
    print(f"Catalogue: {out / 'tools.jsonl'}")


@app.command()
def predict(
    query: Annotated[str, typer.Argument(help="What the user asks.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="A stage folder, a model folder or a hub name.")
    ],
    tools: Annotated[Path, typer.Option("--tools", "-t", help="A file of OpenAI or MCP tools.")],
    now: Annotated[str | None, typer.Option(help="The user's date and time, ISO 8601.")] = None,
    rank: Annotated[bool, typer.Option("--rank/--no-rank", help="Ask for a ranking too.")] = True,
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 256,
    tool_format: Annotated[
        Literal["native", "text"] | None, typer.Option(help="As the model was trained, if not given.")
    ] = None,
) -> None:
    """Rank tools for a query and call one; prints JSON.

    \b
    Example:
      gentool predict --model runs/demo/stages/gentool/seed-0/select \\
        --tools tools.json "Any trains to Lyon tonight?"
    """
    if now is not None:
        try:
            check_now(now)
        except ValueError as error:
            raise ConfigError(f"--now: {error}") from None
    from gentool.inference.predict import predict_query

    answer: dict[str, Any] = predict_query(model, tools, query, now, rank, max_new_tokens, tool_format)
    for note in answer.pop("rejected"):
        Console(stderr=True).print(f"rejected: {_escape(note)}", highlight=False, soft_wrap=True)
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def main() -> None:
    """Entry point. Bad input ends with one message and exit code 2, never with a traceback."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # What transformers will rename one day is nothing that a user of GenTool can act on.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        sys.exit(app(standalone_mode=False) or 0)  # click hands back the code of an Exit
    except KeyboardInterrupt:
        sys.exit(130)
    except GenToolError as error:
        sys.exit(_fail(str(error)).exit_code)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers", "accelerate", "peft", "tokenizers", "safetensors"):
            raise
        message = f"{error.name} is not installed. Fix: pip install 'gentool[train]'"
        sys.exit(_fail(message).exit_code)
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # click's own usage errors
            error.show()  # type: ignore[attr-defined]
            sys.exit(2)
        if isinstance(error, OSError):
            name = f" ({error.filename})" if error.filename else ""
            sys.exit(_fail(f"{error.strerror or error}{name}").exit_code)
        raise
