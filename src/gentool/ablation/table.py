"""What an ablation found: ``results.json``, a table as Markdown, and a plot of the endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from gentool import __version__
from gentool.ablation.settings import AblationConfig
from gentool.config import BudgetOptions
from gentool.evaluation.scores import ENDPOINT_CELLS, GUARD, ModelMetrics, compare, mean_over
from gentool.evaluation.statistics import holm
from gentool.jsonl import write_text
from gentool.records import Probe

if TYPE_CHECKING:
    from gentool.ablation.ablate import Chosen

SCHEMA = "gentool-ablation-1"


def make_results(
    ablation: AblationConfig,
    chosen: Chosen,
    metrics: Mapping[str, ModelMetrics],
    probes: Sequence[Probe],
    budget: BudgetOptions | None,
) -> dict[str, Any]:
    """``results.json``: of every row the endpoint and the groups of the guard with intervals, and its difference from
    the reference; the further contrasts; p values after Holm's correction over all of these differences."""
    reference = metrics[ablation.reference]
    rows = []
    for row, options in ablation.rows.items():
        line: dict[str, Any] = {"row": row, "arm": options.arm, "set": options.set, "says": options.says}
        if row not in metrics:
            rows.append(line | {"run": False})
            continue
        rate, scores = chosen[row]
        model = metrics[row]
        line |= {"run": True, "learning_rate": rate, "dev": scores, "seeds": sorted(model)}
        line["arrival"] = mean_over(model, probes, ENDPOINT_CELLS, "arrival")
        line["cells"] = {
            f"{scenario}/{transition}": mean_over(model, probes, [(scenario, transition)], "arrival")
            for scenario, transition in ENDPOINT_CELLS
        }
        line["guard"] = {
            name: mean_over(model, probes, cells, "tool_selection") for name, cells in GUARD.items()
        }
        if row != ablation.reference:
            line["reference_minus_row"] = _difference(reference, model, probes)
        rows.append(line)
    contrasts = [
        {"row": row, "minus": minus, **_difference(metrics[row], metrics[minus], probes)}
        for row, minus in ablation.contrasts
        if row in metrics and minus in metrics
    ]
    compared = [line["reference_minus_row"] for line in rows if "reference_minus_row" in line] + contrasts
    for found, p in zip(compared, holm([found["p"] for found in compared]), strict=True):
        found["p_holm"] = p
    return {
        "schema": SCHEMA,
        "version": __version__,
        "name": ablation.name,
        "reference": ablation.reference,
        "budget": budget.model_dump() if budget else None,
        "rows": rows,
        "contrasts": contrasts,
    }


def _difference(a: ModelMetrics, b: ModelMetrics, probes: Sequence[Probe]) -> dict[str, Any]:
    """a - b; a model that was not trained has one seed, which stands for all."""
    seeds = a if len(b) == 1 else b
    a, b = (dict.fromkeys(seeds, next(iter(m.values()))) if len(m) == 1 else m for m in (a, b))
    return compare(a, b, probes)


def write_results(
    ablation: AblationConfig,
    folder: Path,
    chosen: Chosen,
    metrics: Mapping[str, ModelMetrics],
    probes: Sequence[Probe],
    budget: BudgetOptions | None,
) -> dict[str, Any]:
    """Write the three files and return what ``results.json`` holds."""
    results = make_results(ablation, chosen, metrics, probes, budget)
    write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_text(folder / "results.md", markdown(results))
    write_text(folder / "results.svg", plot(results))
    return results


def _percent(cell: Mapping[str, Any], interval: bool = True) -> str:
    if cell["value"] is None:
        return ""
    shown = f"{100 * cell['value']:.1f}"
    return f"{shown} [{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]" if interval else shown


def _delta(line: Mapping[str, Any]) -> str:
    return _signed(line.get("reference_minus_row"))


def _signed(found: Mapping[str, Any] | None) -> str:
    if not found or found["delta"] is None:
        return ""
    return f"{100 * found['delta']:+.1f} [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]"


HEAD = ("row", "rate", "arrival", "reference - row", "zero", "decoy", "seen tools")


def _lines(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for line in results["rows"]:
        if not line["run"]:
            lines.append((line["row"], "", "not run", "", "", "", ""))
            continue
        rate = "" if line["learning_rate"] is None else f"{line['learning_rate']:g}"
        guard = [_percent(line["guard"][name], interval=False) for name in GUARD]
        lines.append((line["row"], rate, _percent(line["arrival"]), _delta(line), *guard))
    return lines


def markdown(results: Mapping[str, Any]) -> str:
    """The table for a document."""
    rows = [HEAD, ("---",) * len(HEAD), *_lines(results)]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    lines = [f"- {found['row']} - {found['minus']}: {_signed(found)}\n" for found in results["contrasts"]]
    return table + "".join(["\n", *lines] if lines else [])


def ablation_table(results: Mapping[str, Any]) -> Table:
    """The table for the terminal."""
    table = Table(title=f"{results['name']}: arrival on unseen tools, %")
    for head in HEAD:
        table.add_column(head)
    for row in _lines(results):
        table.add_row(*row)
    if results["contrasts"]:
        found = [f"{x['row']} - {x['minus']}: {_signed(x)}" for x in results["contrasts"]]
        table.caption = "\n".join(found)
    return table


WIDTH, LEFT, ROW = 640, 190, 24


def plot(results: Mapping[str, Any]) -> str:
    """The endpoint of every row with its interval, as one SVG."""
    from markupsafe import Markup, escape

    run = [line for line in results["rows"] if line["run"] and line["arrival"]["value"] is not None]
    height = ROW * len(run) + 50

    def x(share: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * share

    parts = []
    for tick in range(0, 101, 20):
        at, end = x(tick / 100), height - 30
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="8" y2="{end}" stroke="#d8dce2"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 14}" text-anchor="middle">{tick}</text>')
    for n, line in enumerate(run):
        y = 20 + ROW * n
        cell = line["arrival"]
        colour = "#0b6e4f" if line["row"] == results["reference"] else "#3b4a63"
        name = escape(line["row"].replace("_", " "))
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{name}</text>')
        low, high = x(cell["low"]), x(cell["high"])
        parts.append(
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{x(cell["value"]):.1f}" cy="{y}" r="4.5" fill="{colour}"/>'
        )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="sans-serif" font-size="12" fill="#222">'
        "<title>arrival on unseen tools, %, with 95 % intervals over pairs and seeds</title>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    )
    return Markup(head + "".join(parts) + "</svg>\n")
