"""Scores as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from gentool.records import SCENARIOS, TRANSITIONS


def _cell(cell: Mapping[str, Any]) -> str:
    if cell["value"] is None:
        return "-"
    return f"{100 * cell['value']:.0f} [{100 * cell['low']:.0f}, {100 * cell['high']:.0f}]"


def score_tables(
    scores: Mapping[str, Any], metrics: tuple[str, ...] = ("tool_selection", "arrival")
) -> Iterator[Table]:
    """A table for each metric, scenario x transition x model in percent with intervals; then the comparisons."""
    models = list(scores["models"])
    for metric in metrics:
        table = Table(box=SIMPLE_HEAD, title=f"{metric} in %, and its interval over pairs")
        table.add_column("scenario", no_wrap=True)
        table.add_column("pairs", justify="right", no_wrap=True)
        for model in models:
            table.add_column(model, justify="right", no_wrap=True)
        for scenario in SCENARIOS:
            table.add_row(f"[bold]{scenario.replace('_', ' ')}[/]")
            for transition in (*TRANSITIONS, "all"):
                cells = [scores["models"][m][scenario][transition][metric] for m in models]
                table.add_row(
                    f"  {transition.replace('_', ' ')}",
                    str(cells[0]["n_pairs"]) if cells else "0",
                    *map(_cell, cells),
                    end_section=transition == "all",
                )
        yield table
    if scores["comparisons"]:
        table = Table(box=SIMPLE_HEAD, title="arrival over both unseen-tool scenarios, difference in points")
        for column in ("comparison", "difference", "interval", "p"):
            table.add_column(column)
        for row in scores["comparisons"]:
            if row["delta"] is not None:
                table.add_row(
                    f"{row['a']} - {row['b']}",
                    f"{100 * row['delta']:+.1f}",
                    f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]",
                    f"{row['p']:.3f}",
                )
        yield table
