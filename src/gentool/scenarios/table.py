"""What a build made, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


def build_table(summary: Mapping[str, Any]) -> Table:
    """Rows: training and the four scenarios; columns: pairs, queries, records and transitions."""
    groups = ", ".join(f"{g} {n}" for g, n in summary["groups"].items())
    screened = sum(summary["screened"].values())
    table = Table(
        box=SIMPLE_HEAD,
        collapse_padding=True,
        title="What went where",
        caption=f"{summary['tools']} tools; pairs by group: {groups}; neighbours by {summary['embedding']}; "
        f"kept out by the screen: {screened} (screened.jsonl)",
    )
    table.add_column("file", no_wrap=True)
    for column in ("pairs", "queries", "records", "zero", "zero-one", "weak-strong"):
        table.add_column(column, justify="right")
    for row in summary["rows"]:
        counts = [
            row[key] for key in ("pairs", "queries", "records", "zero", "zero_to_one", "weak_to_strong")
        ]
        train = row["file"] == "train"
        table.add_row(row["file"], *["" if train and i > 2 else str(n) for i, n in enumerate(counts)])
    empty = [row["file"] for row in summary["rows"] if not row["pairs"]]
    if empty:
        table.caption = (
            f"{table.caption}\n[bold]No pairs in {', '.join(empty)}[/]: nothing can be said there."
        )
    return table
