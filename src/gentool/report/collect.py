"""A run folder, read: what is there, what is missing, and how each probe came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from gentool.config import Arm, Schedule
from gentool.evaluation.errors import Judged, classify
from gentool.evaluation.metrics import Answers, probe_metrics
from gentool.evaluation.predict import read_predictions
from gentool.evaluation.requests import choose_probes
from gentool.jsonl import RecordError, content_hash, read_jsonl, read_jsonl_lines
from gentool.records import SCENARIOS, Prediction, Probe, Record, Tool, ToolPair
from gentool.training.plan import stages_of

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Stage:
    """One training stage of an arm and seed; ``losses`` are (step, loss)."""

    arm: str
    seed: int
    name: str
    manifest: Mapping[str, Any]
    losses: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Outcome:
    """How one model and seed did on one probe."""

    before: Judged
    after: Judged
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class RunData:
    """All that the report is made from. ``missing`` names, in words, what the folder lacks.

    ``richer``: names of the tools that their pair's other tool was derived from.
    """

    name: str
    config: Mapping[str, Any]
    config_text: str
    scores: Mapping[str, Any]
    lineage: Mapping[str, Any]
    summary: Mapping[str, Any]
    tools: Mapping[str, Tool]
    richer: frozenset[str]
    probes: Sequence[Probe]
    asked: Sequence[Probe]
    answers: Mapping[str, Mapping[int, Answers]]
    stages: Sequence[Stage]
    parameters: int | None
    missing: list[str] = field(default_factory=list)

    @property
    def models(self) -> list[str]:
        """The models scored, in the order of ``scores.json``."""
        return list(self.scores["models"])

    def outcomes(self, model: str, seed: int, probes: Sequence[Probe]) -> list[Outcome | None]:
        """How a model and seed did on each of ``probes``; ``None`` where it was not asked."""
        answers = self.answers[model][seed]
        found: list[Outcome | None] = []
        for probe in probes:
            metrics = probe_metrics(probe, answers, self.tools)
            before, after = answers.call(probe.query, probe.before), answers.call(probe.query, probe.after)
            if metrics is None or before is None or after is None:
                found.append(None)
                continue
            found.append(
                Outcome(
                    classify(before, probe.query, probe.before, self.tools, self.richer),
                    classify(after, probe.query, probe.after, self.tools, self.richer),
                    metrics,
                )
            )
        return found


def read_run(folder: Path, config_text: str, config: Mapping[str, Any], scores: Mapping[str, Any]) -> RunData:
    """Read a run folder. Raises :class:`gentool.jsonl.RecordError` for a file that cannot be read."""
    missing: list[str] = []
    tools = {t.id: t for t in _read(Tool, folder, "scenarios/tools.jsonl", missing)}
    pairs = _read(ToolPair, folder, "scenarios/pairs.jsonl", missing)
    probes = [p for s in SCENARIOS for p in _read(Probe, folder, f"scenarios/{s}.jsonl", missing)]
    known = [p for p in probes if all(i in tools for s in (p.before, p.after) for i in s.tools)]
    if len(known) < len(probes) and tools:
        missing.append(f"tools of {len(probes) - len(known)} probes (not in scenarios/tools.jsonl)")
    models = list(scores["models"])
    options = config.get("evaluate", {})
    for model in [*options.get("models", []), *options.get("servers", {})]:
        if model not in models:
            missing.append(f"scores of the model {model}")
    answers = {m: _answers(folder, m, config, missing) for m in models}
    every = [a for of_model in answers.values() for a in of_model.values()]
    chosen = choose_probes(
        known, options.get("rank", True), options.get("max_prompts"), config.get("seed", 0)
    )
    asked = [p for p in chosen if any(a.call(p.query, p.before) and a.call(p.query, p.after) for a in every)]
    lineage = _json(folder, "lineage.json", missing)
    evaluated = lineage.get("evaluate", {}).get("inputs")
    if evaluated is not None and evaluated != content_hash(config):
        missing.append("scores of the options in config.yaml: they were changed after the evaluation")
    return RunData(
        name=str(config.get("name", folder.name)),
        config=config,
        config_text=config_text,
        scores=scores,
        lineage=lineage,
        summary=_json(folder, "scenarios/summary.json", missing),
        tools=tools,
        richer=frozenset(p.derivation.from_tool for p in pairs),
        probes=probes,
        asked=asked,
        answers=answers,
        stages=_stages(folder, config, missing),
        parameters=_parameters(folder, config),
        missing=missing,
    )


def _read(kind: type[R], folder: Path, name: str, missing: list[str]) -> list[R]:
    if not (folder / name).is_file():
        missing.append(name)
        return []
    return read_jsonl(kind, folder / name)


def _json(folder: Path, name: str, missing: list[str]) -> dict[str, Any]:
    try:
        value = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        missing.append(name)
        return {}
    except ValueError as error:
        raise RecordError(f"{folder / name}: not valid JSON: {error}. Fix: make it anew.") from None
    return value if isinstance(value, dict) else {}


def _answers(folder: Path, model: str, config: Mapping[str, Any], missing: list[str]) -> dict[int, Answers]:
    by_seed: dict[int, dict[tuple[str, str, str], Prediction]] = {}
    for scenario in SCENARIOS:
        path = folder / "predictions" / model / f"{scenario}.jsonl"
        if not path.is_file():
            missing.append(f"predictions/{model}/{scenario}.jsonl")
            continue
        for prediction in read_predictions(path):
            by_seed.setdefault(prediction.seed, {})[prediction.key] = prediction
    seeds = config.get("seeds", [])
    if by_seed and model in get_args(Arm):  # others are not trained, and asked once
        for seed in seeds:
            if seed not in by_seed:
                missing.append(f"predictions of {model} with seed {seed}")
    return {seed: Answers(found) for seed, found in sorted(by_seed.items())}


def _losses(path: Path) -> tuple[tuple[float, float], ...]:
    points = {
        float(value["step"]): float(value["loss"])
        for _, value in read_jsonl_lines(path)
        if isinstance(value, dict) and "loss" in value and "step" in value
    }
    # Keyed by step: a stage that was resumed logs the steps since its last checkpoint again.
    return tuple(sorted(points.items()))


def _stages(folder: Path, config: Mapping[str, Any], missing: list[str]) -> list[Stage]:
    train = config.get("train", {})
    schedule = train.get("schedule", "two_pass")
    found = []
    for arm in train.get("arms", []):
        if arm not in get_args(Arm) or schedule not in get_args(Schedule):
            continue
        for seed in config.get("seeds", []):
            for name, _ in stages_of(arm, schedule):
                where = f"stages/{arm}/seed-{seed}/{name}"
                manifest, log = folder / where / "stage.json", folder / where / "log.jsonl"
                if not manifest.is_file() and not log.is_file():
                    missing.append(where)
                    continue
                losses: tuple[tuple[float, float], ...] = ()
                if log.is_file():
                    losses = _losses(log)
                else:
                    missing.append(f"{where}/log.jsonl")
                stage = _json(folder, f"{where}/stage.json", missing)
                found.append(Stage(arm, seed, name, stage, losses))
    return found


def _parameters(folder: Path, config: Mapping[str, Any]) -> int | None:
    """How many numbers the base model's weights hold, from the headers of its safetensors files."""
    path = config.get("model", {}).get("path")
    files = sorted((Path(path) if path else folder / "base").glob("*.safetensors"))
    total = 0
    try:
        for file in files:
            with file.open("rb") as weights:
                header = json.loads(weights.read(int.from_bytes(weights.read(8), "little")))
            for name, tensor in header.items():
                if name != "__metadata__":
                    size = 1
                    for length in tensor["shape"]:
                        size *= length
                    total += size
    except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError):
        return None
    return total or None
