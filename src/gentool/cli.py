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
from gentool.disk import disk_error
from gentool.jsonl import GenToolError, printable
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
DropLong = Annotated[
    bool, typer.Option("--drop-long", help="Leave out samples that do not fit, and write down which.")
]
_RUNS = Path("runs")


def _fail(message: str) -> typer.Exit:
    text = _escape(printable(message))
    Console(stderr=True).print(f"[bold red]error:[/] {text}", highlight=False, soft_wrap=True)
    return typer.Exit(2)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _run(recipe: Path, settings: list[str] | None, runs: Path, until: Step) -> Run:
    config: Config = load_config(recipe, settings)
    progress = Progress(None if is_first() else Console(quiet=True))
    folder = runs / config.name
    module = Path(sys.argv[0]).name == "__main__.py"
    again = shlex.join([*([sys.executable, "-m", "gentool"] if module else sys.argv[:1]), *sys.argv[1:]])
    try:
        run = Run(config, folder, progress)
        with progress.running():
            run.until(until)
    except KeyboardInterrupt:
        Console(stderr=True).print(
            f"Stopped; what was done is kept. To go on: {_escape(again)}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(128 + progress.signal) from None
    except Exception as error:
        if (fault := disk_error(error, folder, again)) is None:
            raise
        raise fault from None
    if not is_first():
        raise typer.Exit
    return run


def _dropping(settings: list[str] | None, drop_long: bool) -> list[str] | None:
    return [*(settings or []), "train.drop_long=true"] if drop_long else settings


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
def run(recipe: Recipe, set_: Settings = None, runs: Runs = _RUNS, drop_long: DropLong = False) -> None:
    """Do everything: build, train, evaluate, report.

    Ctrl-C or SIGTERM stops at the next safe point; the same command goes on from there.

    \b
    Examples:
      gentool run recipes/demo.yaml
      gentool run recipes/demo.yaml --set name=lora --set train.method=lora
      gentool run recipes/demo.yaml --set "seeds=[0,1,2]"
    """
    done = _run(recipe, _dropping(set_, drop_long), runs, "report")
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
def train(
    recipe: Recipe,
    set_: Settings = None,
    runs: Runs = _RUNS,
    drop_long: DropLong = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would take: tokens, memory, time.")
    ] = False,
    random_init: Annotated[
        bool, typer.Option("--random-init", help="With --dry-run: random weights in the model's shape.")
    ] = False,
) -> None:
    """Train all arms of a recipe, stage after stage.

    \b
    Examples:
      gentool train recipes/demo.yaml --set train.epochs=2
      gentool train recipes/qwen3-0.6b.yaml --dry-run --random-init
    """
    if random_init and not dry_run:
        raise ConfigError("--random-init: expected --dry-run beside it. Fix: add --dry-run.")
    set_ = _dropping(set_, drop_long)
    if dry_run:
        from gentool.training.dry_run import estimate

        with tempfile.TemporaryDirectory() as scratch:  # looking changes nothing
            made = _run(recipe, set_, Path(scratch), "build")
            config, progress = made.config, made.progress
            base = None if random_init and config.model.path else made.base()
            for table in estimate(config, made.samples(), made.tools(), base, progress):
                Console().print(table)
        return
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
    task: Annotated[str, typer.Option(help="rank, select, joint, chat (of data.mix), or all.")] = "all",
    set_: Settings = None,
) -> None:
    """Show training samples as the model sees them, the trained tokens coloured.

    \b
    Example:
      gentool preview recipes/demo.yaml -n 1 --task select
    """
    from gentool.training.preview import preview_samples

    if task not in ("rank", "select", "joint", "chat", "all"):
        raise ConfigError(f"--task: expected rank, select, joint, chat or all; found {task!r}")
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
def check(
    pairs: Annotated[Path, typer.Argument(help="A file of tool pairs (data.pairs).")],
    tools: Annotated[
        list[Path] | None, typer.Option("--tools", "-t", help="A file of stand-alone tools (data.tools).")
    ] = None,
    embedding: Annotated[str, typer.Option(help="As scenarios.embedding.")] = "auto",
) -> None:
    """Name everything that is wrong with pairs and tools, and count what is in them.

    \b
    Ends with exit code 2 if something is wrong. Near-duplicates are told and are
    no fault.

    \b
    Examples:
      gentool check my_pairs.jsonl
      gentool check my_pairs.jsonl --tools catalogue/tools.jsonl --tools package
    """
    from gentool import data
    from gentool.catalog.check import check_files, check_table

    checked = check_files(pairs, [data.TOOLS if str(t) == "package" else t for t in tools or []], embedding)
    for kind, found in (("queries", checked.alike_queries), ("tools", checked.alike_tools)):
        for line in found:
            Console().print(f"near-duplicate {kind}: {_escape(line)}", highlight=False, soft_wrap=True)
    Console().print(check_table(checked))
    for problem in checked.problems:
        _fail(problem)
    if checked.problems:
        raise typer.Exit(2)


@app.command()
def predict(
    query: Annotated[str, typer.Argument(help="What the user asks.")],
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="A stage folder, a model folder, a hub name, or a server's model."
        ),
    ],
    tools: Annotated[Path, typer.Option("--tools", "-t", help="A file of OpenAI or MCP tools.")],
    now: Annotated[str | None, typer.Option(help="The user's date and time, ISO 8601.")] = None,
    rank: Annotated[bool, typer.Option("--rank/--no-rank", help="Ask for a ranking too.")] = True,
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 256,
    tool_format: Annotated[
        Literal["native", "text"] | None, typer.Option(help="As the model was trained, if not given.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask an OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1."),
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable that holds the server's key.")
    ] = None,
    answer: Annotated[
        bool,
        typer.Option("--answer", help="Where generate_response is called, ask again for a plain answer."),
    ] = False,
) -> None:
    """Rank tools for a query and call one; prints JSON.

    \b
    Examples:
      gentool predict --model runs/demo/stages/gentool/seed-0/select \\
        --tools tools.json "Any trains to Lyon tonight?"
      gentool predict --server http://127.0.0.1:11434/v1 --model qwen3:8b \\
        --tools tools.json "Any trains to Lyon tonight?"
    """
    try:
        query.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"query: expected UTF-8; found {query!r}. Fix: use a UTF-8 locale.") from None
    if now is not None:
        try:
            check_now(now)
        except ValueError as error:
            raise ConfigError(f"--now: {error}") from None
    from gentool.inference.predict import Model, local_model, predict_query, server_model

    asked: Model[Any] = (
        server_model(server, model, api_key_env, tool_format) if server else local_model(model, tool_format)
    )
    found: dict[str, Any] = predict_query(asked, tools, query, now, rank, max_new_tokens, answer)
    for note in found.pop("rejected"):
        Console(stderr=True).print(f"rejected: {_escape(note)}", highlight=False, soft_wrap=True)
    print(json.dumps(found, indent=2, ensure_ascii=False))


@app.command(name="merge-adapter")
def merge_adapter_(
    stage: Annotated[Path, typer.Argument(help="A stage folder that holds an adapter.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the whole model to.")],
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(help="Of the weights written; as the base's if not given."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is there.")] = False,
) -> None:
    """Merge an adapter (train.method lora or qlora) into its base: one plain checkpoint.

    \b
    Example:
      gentool merge-adapter runs/demo/stages/gentool/seed-0/select --out merged
    """
    from gentool.merge import merge_adapter

    print(f"Model: {out} ({merge_adapter(stage, out, dtype, force)})")


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
            name = f"{error.filename}: " if error.filename else ""
            fix = "Fix: check the path, its permissions and the space left."
            sys.exit(_fail(f"{name}{error.strerror or error}. {fix}").exit_code)
        raise
