"""Scores as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from gentool.evaluation.verdict import guard_words, verdict
from gentool.records import SCENARIOS, TRANSITIONS

_TIGHT: dict[str, Any] = {"pad_edge": False, "collapse_padding": True}
"""Three models fit into 80 columns."""


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
        table = Table(box=SIMPLE_HEAD, title=f"{metric} in %, and its interval over pairs", **_TIGHT)
        table.add_column("scenario", no_wrap=True)
        table.add_column("pairs/\nqueries", justify="right", no_wrap=True)
        for model in models:
            table.add_column(model, justify="right", no_wrap=True)
        for scenario in SCENARIOS:
            table.add_row(f"[bold]{scenario.replace('_', ' ')}[/]")
            for transition in (*TRANSITIONS, "all"):
                cells = [scores["models"][m][scenario][transition][metric] for m in models]
                table.add_row(
                    f"  {transition.replace('_', ' ')}",
                    f"{_sizes(cells, 'n_pairs')}/{_sizes(cells, 'n_queries')}",
                    *map(_cell, cells),
                    end_section=transition == "all",
                )
        yield table
    if scores["comparisons"]:
        yield _comparisons(scores)
    if scores.get("retention"):
        yield _retention(scores["retention"])


def _sizes(cells: list[Mapping[str, Any]], key: str) -> str:
    """The number that all models have, or from which to which."""
    sizes = sorted({int(cell[key]) for cell in cells})
    return "-".join(map(str, dict.fromkeys((sizes[0], sizes[-1])))) if sizes else "0"


def _retention(found: Mapping[str, Any]) -> Table:
    left = f", {found['left_out']} too long and left out" if found["left_out"] else ""
    table = Table(
        box=SIMPLE_HEAD,
        title=f"Loss a token on {found['turns']} held-out turns of your own conversations{left}",
        caption="Lower is better. Its interval over conversations and seeds.",
    )
    table.add_column("model")
    table.add_column("loss", justify="right")
    table.add_column("change from base", justify="right")
    for model, row in found["models"].items():
        change = f"{row['change']:+.3f}" if "change" in row else "-"
        if "low" in row:
            change += f" [{row['low']:+.3f}, {row['high']:+.3f}]"
        table.add_row(model, f"{row['loss']:.3f}", change)
    return table


def _comparisons(scores: Mapping[str, Any]) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        **_TIGHT,
        title="arrival over both unseen-tool scenarios, difference in points",
        caption="p: after Holm. detects: true difference found with power 0.80. pairs: in the smallest cell.\n"
        "guard: lower bound of the difference in tool_selection; it may not be under -5 points.",
    )
    table.add_column("comparison")
    for column in ("difference", "p", "detects", "pairs"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("guard", no_wrap=True)
    for row in scores["comparisons"]:
        numbers = ["-", "-", "-"]
        if row["delta"] is not None:
            numbers[:2] = [
                f"{100 * row['delta']:+.1f}\n[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]",
                f"{row['p_holm']:.3f}",
            ]
        if row["mdd"] is not None:
            numbers[2] = f"{100 * row['mdd']:.1f}"
        table.add_row(
            f"[bold]{row['a']} - {row['b']}[/]\n{verdict(row, scores['confidence'])}",
            *numbers,
            str(row["n_pairs"]),
            "\n".join(map(guard_words, row["guard"])),
            end_section=True,
        )
    return table
