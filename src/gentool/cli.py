"""The command line: parse, call, print. Torch and transformers are imported by the steps that need them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from gentool import __version__
from gentool.ablation.command import ablate
from gentool.command import RUNS as _RUNS
from gentool.command import Recipe, Runs, Settings, look_at
from gentool.command import escape as _escape
from gentool.command import fail as _fail
from gentool.command import run_until as _run
from gentool.config import ConfigError
from gentool.data import model_path
from gentool.dataset.commands import app as data_app
from gentool.jsonl import GenToolError
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.records import SCENARIOS, check_now
from gentool.review.command import review
from gentool.synthesis.command import merge, synthesize

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

DropLong = Annotated[
    bool, typer.Option("--drop-long", help="Leave out samples that do not fit, and write down which.")
]


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
      gentool import tools.json --out catalogue   tools of OpenAI, MCP and others
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
            made = look_at(recipe, set_, runs, Path(scratch))
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
    synthesis: Annotated[
        Path | None, typer.Argument(metavar="[RECIPE]", help="The recipe, after the word synth.")
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many samples.")] = 2,
    task: Annotated[
        str, typer.Option(help="rank, select, joint, chat (of data.mix), all, or synth (of synthesis).")
    ] = "all",
    ask: Annotated[bool, typer.Option("--ask", help="With synth: ask the teacher for these few.")] = False,
    set_: Settings = None,
    runs: Runs = _RUNS,
) -> None:
    """Show training samples as the model sees them, the trained tokens coloured.

    `gentool preview synth RECIPE` shows the prompts of a synthesis instead, before
    money is spent; with --ask also what the teacher makes of them.

    \b
    Examples:
      gentool preview recipes/demo.yaml -n 1 --task select
      gentool preview synth recipes/synthesis.yaml -n 1
    """
    if synthesis is not None and str(recipe) != "synth":
        raise ConfigError(f"preview: expected one recipe, or synth and a recipe; found {recipe} before it.")
    if synthesis is not None or task == "synth":
        from gentool.synthesis.command import preview_synthesis

        preview_synthesis(load_config(synthesis or recipe, set_), runs, number, ask)
        return
    from gentool.training.preview import preview_samples

    if task not in ("rank", "select", "joint", "chat", "all"):
        raise ConfigError(f"--task: expected rank, select, joint, chat, all or synth; found {task!r}")
    console = Console()
    with tempfile.TemporaryDirectory() as folder:  # looking changes nothing
        made = look_at(recipe, set_, runs, Path(folder))
        for panel in preview_samples(made.config, made.base(), made.samples(), made.tools(), number, task):
            console.print(panel)


app.command()(synthesize)
app.command()(merge)


@app.command(name="import")
def import_(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Files that belong together, folders, or MCP servers."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("catalogue"),
    format_: Annotated[
        str | None,
        typer.Option("--format", help="The format of the files; recognized by itself if not given."),
    ] = None,
    write: Annotated[
        list[str] | None,
        typer.Option("--write", "-w", help="Write it as openai, mcp or trl too; can be given several times."),
    ] = None,
) -> None:
    """Read a tool catalogue; say what was read, repaired and rejected, and why.

    \b
    Reads OpenAI, Anthropic, MCP and others: see docs/formats.md. Writes
    tools.jsonl, rejected.jsonl, repaired.jsonl, duplicates.jsonl and names.json
    (new name -> original name); queries recorded with their calls go to
    use_cases.jsonl, those whose calls do not fit to rejected_cases.jsonl.

    \b
    Examples:
      gentool import tools.json
      gentool import mcp_servers.jsonl.gz --out catalogue --write openai
      gentool import tool.jsonl dev.jsonl
      gentool import path/to/botocore/data
      gentool import "stdio:npx -y @modelcontextprotocol/server-everything"
      gentool import http://127.0.0.1:8000/mcp
    """
    from gentool.catalog.importer import import_tools, summary_table
    from gentool.catalog.save import write_imported
    from gentool.catalog.write import WRITERS

    unknown = [name for name in write or () if name not in WRITERS]
    if unknown:
        raise ConfigError(
            f"--write: expected {', '.join(WRITERS)}; found {unknown[0]!r}. Fix: name one of them."
        )
    imported = import_tools(paths, format_)
    write_imported(imported, out)
    for name in dict.fromkeys(write or ()):
        file, writer = WRITERS[name]
        writer(imported, out / file)
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

    checked = check_files(pairs, [data.tools_file(str(t)) for t in tools or []], embedding)
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
            "--model",
            "-m",
            help="A stage folder, a model folder, a hub name, or a server's model.",
        ),
    ],
    tools: Annotated[Path, typer.Option("--tools", "-t", help="A file of tools, as import reads them.")],
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
        server_model(server, model, api_key_env, tool_format)
        if server
        else local_model(model_path(model), tool_format)
    )
    found: dict[str, Any] = predict_query(asked, tools, query, now, rank, max_new_tokens, answer)
    for note in found.pop("rejected"):
        Console(stderr=True).print(f"rejected: {_escape(note)}", highlight=False, soft_wrap=True)
    print(json.dumps(found, indent=2, ensure_ascii=False))


@app.command()
def export(
    source: Annotated[Path, typer.Argument(help="A recipe, or the folder of a run that is built.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")],
    format_: Annotated[
        Literal["trl", "trl-messages", "llamafactory", "ms-swift", "axolotl", "openai"] | None,
        typer.Option("--format", "-f", help="Whose format."),
    ] = None,
    task: Annotated[
        Literal["rank", "select", "joint", "all"],
        typer.Option(help="One task alone, or all: a file for each stage of the recipe's training."),
    ] = "all",
    arm: Annotated[Literal["gentool", "sft", "no_ranking"], typer.Option(help="Whose samples.")] = "gentool",
    epochs: Annotated[
        int, typer.Option(min=1, help="Rounds through the samples, each with new orders of the tools.")
    ] = 1,
    fallback: Annotated[
        Literal["tool", "text"] | None, typer.Option(help="As prompt.fallback; the recipe's if not given.")
    ] = None,
    scenario: Annotated[
        Literal[
            "seen_query_seen_tool",
            "seen_query_unseen_tool",
            "unseen_query_seen_tool",
            "unseen_query_unseen_tool",
            "all",
        ]
        | None,
        typer.Option(help="Instead of --format: the test prompts, with the right answers."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that no export wrote.")] = False,
    set_: Settings = None,
    runs: Runs = _RUNS,
) -> None:
    """Write the training samples, or the test prompts, for other tools.

    \b
    Examples:
      gentool export recipes/demo.yaml --format trl --epochs 3 --out demo-trl
      gentool export runs/demo --format openai --task select --out demo-openai
      gentool export runs/demo --scenario all --out demo-probes
    """
    from gentool.export.write import export_probes, export_samples, with_fallback

    if (format_ is None) == (scenario is None):
        raise ConfigError(
            "--format, --scenario: expected exactly one of them. Fix: --format trl for training samples, "
            "--scenario all for test prompts."
        )
    if source.is_dir():
        if set_:
            raise ConfigError("--set: a run folder is as it is. Fix: give the recipe, or leave --set out.")
        folder, config = source, load_config(source / "config.yaml")
    else:
        made = _run(source, set_, runs, "build")
        folder, config = made.folder, made.config
    config = with_fallback(config, fallback)
    with Progress().running() as progress:
        if format_ is not None:
            counts = export_samples(folder, config, format_, out, progress, arm, task, epochs, force)
        else:
            wanted = [s for s in SCENARIOS if scenario in (s, "all")]
            counts = export_probes(folder, config, wanted, out, progress, force)
    for name, count in counts.items():
        print(f"{out / name}: {count:,} records")


app.command()(ablate)
app.command()(review)
app.add_typer(data_app, name="data")


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
