"""Models x probes -> predictions on disk -> scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gentool.config import Config, ModelKey
from gentool.evaluation.metrics import Answers, probe_metrics
from gentool.evaluation.predict import Asker
from gentool.evaluation.requests import choose_probes, query_requests
from gentool.evaluation.scores import ModelMetrics, make_scores
from gentool.inference.transformers import TransformersBackend
from gentool.models import weights_hash
from gentool.progress import Progress
from gentool.records import SCENARIOS, Prediction, Probe, Tool
from gentool.training.arms import make_renderer


def evaluate_models(
    config: Config,
    models: Mapping[ModelKey, Mapping[int, str]],
    base: str,
    probes: Sequence[Probe],
    tools: Mapping[str, Tool],
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Ask every model (name -> seed -> weights) and return ``scores.json``."""
    options = config.evaluate
    renderer = make_renderer(config, base)
    asked = choose_probes(probes, options.rank, options.max_prompts, config.seed)
    results: dict[str, ModelMetrics] = {}
    for model, checkpoints in models.items():
        joint = model == "gentool" and config.train.schedule == "one_output"
        results[model] = {
            seed: _metrics(
                Asker(
                    model,
                    seed,
                    f"{weights_hash(path)} {config.model.dtype}",
                    renderer,
                    cache(lambda path=path: TransformersBackend(path, renderer, config.model.dtype)),
                    config.seed,
                    options.max_new_tokens,
                    options.batch_size,
                ),
                asked,
                tools,
                options.rank,
                joint,
                folder / model,
                progress,
            )
            for seed, path in checkpoints.items()
        }
    return make_scores(results, asked, config.seeds, options.bootstrap, options.confidence)


def _metrics(
    asker: Asker,
    asked: Sequence[Probe],
    tools: Mapping[str, Tool],
    rank: bool,
    joint: bool,
    folder: Path,
    progress: Progress,
) -> list[dict[str, float] | None]:
    """Ask one model with one seed; the metrics of each probe."""
    answers: dict[tuple[str, str, str], Prediction] = {}
    for scenario in SCENARIOS:
        requests = query_requests([p for p in asked if p.scenario == scenario], rank, joint)
        found = asker.ask(requests, tools, folder / f"{scenario}.jsonl", progress)
        answers |= {p.key: p for p in found}
    return [probe_metrics(p, Answers(answers), tools) for p in asked]
