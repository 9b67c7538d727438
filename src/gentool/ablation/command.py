"""The command ``gentool ablate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gentool.command import RUNS, Runs, Settings, stoppable
from gentool.progress import Progress


def ablate(
    file: Annotated[
        Path, typer.Argument(help="The YAML of the ablation, for example recipes/ablation.yaml.")
    ],
    row: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            help="Run only this row and the reference (rows run before stay in the table); can be given several times.",
        ),
    ] = None,
    set_: Settings = None,
    runs: Runs = RUNS,
) -> None:
    """Compare variants of the method: rows x seeds under the fair protocol, one table and plot.

    For every row the learning rate is chosen on the dev split, then as many models
    as there are seeds are tested. Interrupted, the same command goes on.

    \b
    Examples:
      gentool ablate recipes/ablation.yaml
      gentool ablate recipes/ablation.yaml --row sft --row no_ranking
    """
    from gentool.ablation.ablate import ablate as run_ablation
    from gentool.ablation.settings import load_ablation
    from gentool.ablation.table import ablation_table

    config = load_ablation(file, set_)
    folder = runs / config.name
    progress = Progress()
    with stoppable(folder, progress):
        results = run_ablation(config, folder, row or [], progress)
    Console().print(ablation_table(results))
    print(f"Results: {folder / 'results.json'}, {folder / 'results.md'}, {folder / 'results.svg'}")
