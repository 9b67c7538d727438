"""A finished run folder -> ``report.html``: one file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gentool.evaluation.errors import CLASSES
from gentool.evaluation.metrics import METRICS
from gentool.evaluation.scores import ENDPOINT_CELLS, SCHEMA
from gentool.evaluation.verdict import MIN_PAIRS, guard_words, verdict
from gentool.jsonl import GenToolError, write_text
from gentool.records import SCENARIOS, TRANSITIONS
from gentool.report import labels
from gentool.report.collect import RunData, read_run
from gentool.report.explorer import explorer_data, script_json
from gentool.report.labels import percent
from gentool.report.plots import bar_panels, class_counts, class_panels, colours, loss_panels
from gentool.report.shape import check_shapes

_HERE = Path(__file__).parent
_SCRIPTS = ("page", "data", "filters", "cards", "download", "explorer")
"""The parts of the page's script, in the order in which they need each other."""


class ReportError(GenToolError):
    """A folder that no report can be made of; says what is missing and which command makes it."""


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder and return its path.

    Parts of a run that are missing are named in the report. Raises :class:`ReportError` for a folder that
    is no run folder or has no scores, :class:`gentool.jsonl.RecordError` for a file that cannot be read.
    """
    config_text, config, scores = _check_folder(folder)
    run = read_run(folder, config_text, config, scores)
    path = folder / "report.html"
    write_text(path, _render(run))
    return path


def _check_folder(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The text and tree of ``config.yaml``, and ``scores.json``."""
    make = "Fix: make it with `gentool run RECIPE`."
    if not (folder / "config.yaml").is_file():
        what = (
            "has no config.yaml" if folder.is_dir() else "is a file" if folder.exists() else "does not exist"
        )
        raise ReportError(f"{folder} is no run folder: it {what}. {make}")
    if not (folder / "scores.json").is_file():
        raise ReportError(
            f"{folder} has no scores.json: the run is not evaluated yet. "
            "Fix: finish it with `gentool run RECIPE`, which goes on where it stopped."
        )
    try:
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        config = yaml.safe_load(text)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ReportError(f"{folder / 'config.yaml'} cannot be read: {error}. {make}") from None
    if not isinstance(config, dict):
        raise ReportError(f"{folder / 'config.yaml'} holds no options. {make}")
    try:
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(
            f"{folder / 'scores.json'} is not valid JSON: {error}. Fix: delete it and `gentool run RECIPE`."
        ) from None
    if not isinstance(scores, dict) or scores.get("schema") != SCHEMA:
        found = scores.get("schema") if isinstance(scores, dict) else type(scores).__name__
        raise ReportError(
            f"{folder / 'scores.json'}: expected schema {SCHEMA!r}; found {found!r}. "
            "Fix: delete it and `gentool run RECIPE` with this version."
        )
    check_shapes(folder, config, scores)
    return text, config, scores


def _script() -> str:
    """The page's script: all parts in one scope of their own."""
    parts = [(_HERE / "script" / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return "\n".join(['"use strict";', "(() => {", *parts, "})();"])


def _render(run: RunData) -> str:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    smallest = _smallest_cell(run)
    counts = class_counts(run)
    return environment.get_template("report.html.j2").render(
        run=run,
        labels=labels,
        percent=percent,
        colours=colours(run.models),
        style=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        # Only this script may run, whatever else gets into the page.
        script_hash=digest,
        data=Markup(script_json(explorer_data(run))),
        facts=_facts(run),
        finished=_finished(run),
        confidence=f"{100 * run.scores['confidence']:g}",
        smallest=smallest if smallest and smallest["n"] < MIN_PAIRS else None,
        min_pairs=MIN_PAIRS,
        endpoint=[(m, _endpoint(run, m)) for m in run.models],
        comparisons=_comparisons(run),
        retention=run.scores.get("retention"),
        tables=[(m, _table(run, m)) for m in METRICS],
        scenarios=SCENARIOS,
        transitions=TRANSITIONS,
        classes=CLASSES,
        answering=[m for m in run.models if run.answers[m]],
        bars=[(m, bar_panels(run, m)) for m in ("arrival", "tool_selection")],
        class_panels=class_panels(run, counts),
        class_rows=_class_rows(run, counts),
        losses=loss_panels(run.stages),
        steps=_steps(run),
        stages=_stages(run),
    )


def _cell(run: RunData, model: str, scenario: str, transition: str, metric: str) -> dict[str, Any]:
    """A cell of ``scores.json``; one that is not there is like one without probes."""
    cell = run.scores["models"][model].get(scenario, {}).get(transition, {}).get(metric)
    return cell or {"value": None, "low": None, "high": None, "n_pairs": 0, "n_queries": 0}


def _table(run: RunData, metric: str) -> list[dict[str, Any]]:
    """A metric's table: per scenario the rows of its transitions. ``n`` stands once where models agree."""
    groups = []
    for scenario in SCENARIOS:
        rows = []
        for transition in (*TRANSITIONS, "all"):
            cells = [_cell(run, m, scenario, transition, metric) for m in run.models]
            sizes = {(c["n_pairs"], c["n_queries"]) for c in cells}
            rows.append(
                {
                    "transition": transition,
                    "cells": cells,
                    "n": sizes.pop() if len(sizes) == 1 else None,
                    "endpoint": metric == "arrival" and (scenario, transition) in ENDPOINT_CELLS,
                }
            )
        groups.append({"scenario": scenario, "rows": rows})
    return groups


def _class_rows(
    run: RunData, counts: Mapping[tuple[str, str], Counter[str]]
) -> list[tuple[str, str, list[tuple[int, int]]]]:
    """Rows of the table of classes: group, class, and per model how many answers have it, of how many."""
    by_model = [sum((counts.get((s, m), Counter()) for s in SCENARIOS), Counter()) for m in run.models]
    return [
        (group, name, [(found[name], found.total()) for found in by_model])
        for group, classes in labels.CLASS_GROUPS.items()
        for name in classes
    ]


def _endpoint(run: RunData, model: str) -> float | None:
    """Mean of ``arrival`` over the endpoint's cells that have probes."""
    values = [_cell(run, model, s, t, "arrival")["value"] for s, t in ENDPOINT_CELLS]
    found = [v for v in values if v is not None]
    return sum(found) / len(found) if found else None


def _smallest_cell(run: RunData) -> dict[str, Any] | None:
    """The endpoint's cell with the fewest pairs, over all models."""
    cells = [
        {"n": _cell(run, m, s, t, "arrival")["n_pairs"], "scenario": s, "transition": t}
        for s, t in ENDPOINT_CELLS
        for m in run.models
    ]
    return min(cells, key=lambda c: int(c["n"])) if cells else None


def _comparisons(run: RunData) -> list[dict[str, Any]]:
    """The comparisons, each with its verdict and guard in words."""
    return [
        {
            **comparison,
            "verdict": verdict(comparison, run.scores["confidence"]),
            "guard_words": [guard_words(entry) for entry in comparison["guard"]],
        }
        for comparison in run.scores.get("comparisons", [])
    ]


def _model_fact(run: RunData) -> str:
    model = run.config.get("model", {})
    size = f", {labels.amount(run.parameters)} parameters" if run.parameters else ""
    if model.get("path"):
        return f"{model['path']}{size}"
    shape = model.get("random_init") or {}
    if not shape:
        return f"not known{size}"
    return (
        f"random {shape.get('architecture')}, made from nothing: hidden size {shape.get('hidden_size')}, "
        f"{shape.get('layers')} layers, {shape.get('heads')} heads, vocabulary {shape.get('vocabulary')}{size}"
    )


def _facts(run: RunData) -> list[tuple[str, str]]:
    """The short summary: what was run."""
    train, scenarios = run.config.get("train", {}), run.config.get("scenarios", {})
    seeds = run.config.get("seeds", [])
    asked = [max((len(a.by_key) for a in of_model.values()), default=0) for of_model in run.answers.values()]
    prompts = sorted(set(asked))
    groups = run.summary.get("groups", {})
    facts = [
        ("Base model", _model_fact(run)),
        ("Arms trained", f"{', '.join(train.get('arms', [])) or 'none'} ({train.get('method', 'full')})"),
        ("Schedule of gentool", str(train.get("schedule", "–"))),
        ("Training seeds", ", ".join(map(str, seeds)) or "–"),
        ("Tools shown", f"{run.summary.get('k', scenarios.get('k', '–'))} and generate_response"),
        ("Neighbours by", str(run.summary.get("embedding", scenarios.get("embedding", "–")))),
        ("Pairs by group", ", ".join(f"{g} {n}" for g, n in groups.items()) or "–"),
        ("Probes asked", f"{len(run.asked):,} of {len(run.probes):,}"),
        (
            "Prompts",
            f"{' to '.join(f'{n:,}' for n in dict.fromkeys((prompts[0], prompts[-1])))} a model and seed",
        )
        if prompts
        else ("Prompts", "–"),
    ]
    host = next((s["host"] for s in reversed(list(run.lineage.values())) if "host" in s), None)
    if host:
        facts.append(("Host", f"{host.get('system')} {host.get('machine')}, {host.get('cpus')} CPUs"))
    return facts


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _finished(run: RunData) -> str | None:
    """When the last step was finished, in words."""
    times = [t for step in run.lineage.values() if (t := _time(step.get("finished", "")))]
    if not times:
        return None
    last = max(times)
    return f"{last.day} {last:%B %Y, %H:%M} {last.tzname() or ''}".strip()


def _steps(run: RunData) -> list[dict[str, Any]]:
    """The steps of ``lineage.json`` with their times and versions."""
    found = []
    for name, step in run.lineage.items():
        begun, ended = _time(step.get("started", "")), _time(step.get("finished", ""))
        seconds = (ended - begun).total_seconds() if begun and ended else None
        versions = {"python": step.get("python"), **step.get("versions", {})}
        found.append(
            {
                "name": name,
                "started": f"{begun:%Y-%m-%d %H:%M:%S}" if begun else "–",
                "seconds": "–" if seconds is None else f"{seconds:,.0f}",
                "versions": ", ".join(f"{k} {v}" for k, v in versions.items() if v),
            }
        )
    return found


def _stages(run: RunData) -> list[Sequence[str]]:
    """Rows of the table of training stages."""

    def number(values: Mapping[str, Any], key: str, form: str) -> str:
        value = values.get(key)
        return format(value, form) if isinstance(value, int | float) else "–"

    rows: list[Sequence[str]] = []
    for stage in run.stages:
        identity, metrics = stage.manifest.get("identity", {}), stage.manifest.get("metrics", {})
        rows.append(
            (
                stage.arm,
                str(stage.seed),
                stage.name,
                number(identity, "steps", ",d"),
                number(identity, "samples", ",d"),
                number(identity, "tokens", ",d"),
                number(identity, "learning_rate", "g"),
                number(metrics, "first_loss", ".3f"),
                number(metrics, "last_loss", ".3f"),
                number(metrics, "seconds", ",.0f"),
            )
        )
    return rows
