"""Models x probes -> predictions on disk -> scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from rich.markup import escape

from gentool.config import Config, ModelKey, ServerConfig
from gentool.evaluation.metrics import Answers, probe_metrics
from gentool.evaluation.predict import Asker
from gentool.evaluation.requests import choose_probes, query_requests
from gentool.evaluation.scores import ModelMetrics, make_scores
from gentool.inference.server import Chat, ServerBackend, ServerPrompts
from gentool.jsonl import content_hash
from gentool.llm.client import Client
from gentool.progress import Progress
from gentool.records import SCENARIOS, Prediction, Probe, Tool


def evaluate_models(
    config: Config,
    models: Mapping[ModelKey, Mapping[int, str]],
    base: str | None,
    probes: Sequence[Probe],
    tools: Mapping[str, Tool],
    folder: Path,
    calls: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Ask every model (name -> seed -> weights) and every server of the configuration; return ``scores.json``.

    ``base`` may be ``None`` if there are no ``models``. ``folder`` gets the predictions, ``calls`` is the cache of
    what servers answered.
    """
    options = config.evaluate
    asked = choose_probes(probes, options.rank, options.max_prompts, config.seed)

    def metrics(asker: Asker[Any], joint: bool) -> list[dict[str, float] | None]:
        return _metrics(asker, asked, tools, options.rank, joint, folder / asker.model, progress)

    results: dict[str, ModelMetrics] = {}
    if base is not None:
        for asker in _local_askers(config, models, base):
            joint = asker.model == "gentool" and config.train.schedule == "one_output"
            results[asker.model] = {**results.get(asker.model, {}), asker.seed: metrics(asker, joint)}
    for row, server in options.servers.items():
        client = Client(row, server, calls, lambda text: progress.say(escape(text)))
        try:
            results[row] = {config.seeds[0]: metrics(_server_asker(config, row, server, client), False)}
        finally:
            if client.usage.requests or client.usage.cached:
                progress.say(f"{row}: {client.usage}")
    return make_scores(results, asked, config.seeds, options.bootstrap, options.confidence)


def _local_askers(
    config: Config, models: Mapping[ModelKey, Mapping[int, str]], base: str
) -> Iterator[Asker[list[int]]]:
    from gentool.inference.transformers import TransformersBackend
    from gentool.models import weights_hash
    from gentool.training.prepare import make_renderer

    options, dtype = config.evaluate, config.model.dtype
    four_bit = config.train.method == "qlora"  # the untrained base too: it is what the arms start from
    renderer = make_renderer(config, base)
    load = partial(
        TransformersBackend, renderer=renderer, dtype=dtype, batch_size=options.batch_size, four_bit=four_bit
    )
    for model, checkpoints in models.items():
        for seed, path in checkpoints.items():
            yield Asker(
                model,
                seed,
                f"{weights_hash(path)} {dtype}{' in 4 bits' if four_bit else ''}",
                renderer,
                cache(partial(load, path)),
                config.seed,
                options.max_new_tokens,
            )


def _server_asker(config: Config, row: str, server: ServerConfig, client: Client) -> Asker[Chat]:
    """A server has one answer to a prompt, whatever the training seed; it stands under the first."""
    depends_on = content_hash([server.temperature, server.extra])
    return Asker(
        row,
        config.seeds[0],
        f"{server.model} at {server.base_url} {depends_on}",
        ServerPrompts(server.tool_format, config.prompt.fallback == "text"),
        lambda: ServerBackend(client),
        config.seed,
        config.evaluate.max_new_tokens,
    )


def _metrics(
    asker: Asker[Any],
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
