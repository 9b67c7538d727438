"""The commands ``gentool synthesize``, ``gentool merge`` and ``gentool preview synth``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gentool.command import RUNS, Recipe, Runs, Settings, run_config, stoppable
from gentool.config import Config, ServerConfig
from gentool.progress import Progress
from gentool.recipe import load_config


def synthesize(
    recipe: Recipe,
    set_: Settings = None,
    runs: Runs = RUNS,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only part I of N, to be merged with the others.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="DOLLARS", help="As synthesis.max_cost, for this call.")
    ] = None,
    max_requests: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="As synthesis.max_requests, for this call.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
) -> None:
    """Make tool pairs from the user's own tools, with a teacher: an LLM, or rules.

    Says first what it will take. What was answered is kept, whatever happens: the
    same command goes on from there.

    \b
    Examples:
      gentool synthesize recipes/synthesis-rules.yaml
      gentool synthesize recipes/synthesis.yaml --max-cost 5
      gentool synthesize recipes/synthesis.yaml --shard 2/8
    """
    from gentool.synthesis.estimate import estimate, estimate_table
    from gentool.synthesis.plan import make_plan
    from gentool.synthesis.shards import parse_shard, shard_folder

    limits = {"synthesis.max_cost": max_cost, "synthesis.max_requests": max_requests}
    settings = [*(set_ or []), *(f"{key}={value}" for key, value in limits.items() if value is not None)]
    part = parse_shard(shard)
    config = load_config(recipe, settings)
    folder = shard_folder(runs, config.name, part)
    plan = make_plan(config, folder, part)
    made = estimate(plan)
    if made.seeds:
        Console(stderr=True).print(estimate_table(made, plan))
    asked = isinstance(plan.config.teacher, ServerConfig) and made.seeds and sys.stdin.isatty()
    if asked and not yes and not typer.confirm("Begin?", default=True, err=True):
        raise typer.Exit(1)
    run_config(config, folder, "synthesize", plan)
    print(f"Pairs: {folder / 'pairs.jsonl'}")


def merge(
    shards: Annotated[list[Path], typer.Argument(help="The folders of all shards of a synthesis.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder that they make, e.g. runs/NAME.")],
) -> None:
    """Put the shards of a synthesis together: units, answers and decisions of reviewers.

    \b
    Example:
      gentool merge runs/mine-shard-1-of-2 runs/mine-shard-2-of-2 --out runs/mine
    """
    from gentool.synthesis.shards import merge_shards

    progress = Progress()
    with stoppable(out, progress):
        merge_shards(shards, out)
    config = load_config(out / "config.yaml")
    run_config(config, out, "synthesize", ask=False)
    print(f"Pairs: {out / 'pairs.jsonl'}")


def preview_synthesis(config: Config, runs: Path, number: int, ask: bool) -> None:
    """Show the prompts of a few seeds, what all of them will take and, if ``ask``, what becomes of these few."""
    from gentool.synthesis.estimate import estimate, estimate_table
    from gentool.synthesis.plan import make_plan
    from gentool.synthesis.preview import preview_prompts, preview_units, unit_panels

    console = Console()
    folder = runs / config.name
    plan = make_plan(config, folder)
    for panel in preview_prompts(plan, number):
        console.print(panel)
    made = estimate(plan)
    if made.seeds:
        console.print(estimate_table(made, plan))
    if not ask:
        return
    progress = Progress()
    with stoppable(folder, progress):
        units = preview_units(plan, number, folder / "cache" / "teacher.sqlite", progress)
    for unit in units:
        for panel in unit_panels(unit):
            console.print(panel)
