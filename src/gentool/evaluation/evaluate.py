"""Models x probes -> predictions on disk -> scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gentool.config import Config, ModelKey
from gentool.evaluation.metrics import Answers, probe_metrics
from gentool.evaluation.predict import predict
from gentool.evaluation.requests import choose_probes, query_requests
from gentool.evaluation.scores import ModelMetrics, make_scores
from gentool.inference.transformers import TransformersBackend
from gentool.models import weights_hash
from gentool.progress import Progress
from gentool.records import SCENARIOS, Prediction, Probe, Tool, content_hash, write_text
from gentool.training.arms import make_renderer


def _same_model(folder: Path, identity: Any) -> None:
    """Clear predictions that were made by other weights or with other prompts."""
    mark = folder / "identity.json"
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == identity:
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_text(mark, json.dumps(identity, indent=2) + "\n")


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
        identity = {
            "weights": {str(seed): weights_hash(path) for seed, path in checkpoints.items()},
            "template": renderer.template_hash,
            "tools": content_hash(sorted(tools)),
            "order_seed": config.seed,
            "max_new_tokens": options.max_new_tokens,
            "dtype": config.model.dtype,
        }
        _same_model(folder / model, identity)
        results[model] = {}
        for seed, path in checkpoints.items():
            backend: list[TransformersBackend] = []

            def load(path: str = path, backend: list[TransformersBackend] = backend) -> TransformersBackend:
                if not backend:
                    backend.append(TransformersBackend(path, renderer, config.model.dtype))
                return backend[0]

            answers: dict[tuple[str, str, str], Prediction] = {}
            for scenario in SCENARIOS:
                of_scenario = [p for p in asked if p.scenario == scenario]
                predictions = predict(
                    query_requests(of_scenario, options.rank, joint),
                    tools,
                    renderer,
                    load,
                    folder / model / f"{scenario}.jsonl",
                    model,
                    seed,
                    config.seed,
                    options.max_new_tokens,
                    options.batch_size,
                    progress,
                )
                answers |= {p.key: p for p in predictions}
            found = Answers(answers)
            results[model] = {**results[model], seed: [probe_metrics(p, found, tools) for p in asked]}
    return make_scores(results, asked, config.seeds, options.bootstrap, options.confidence)
