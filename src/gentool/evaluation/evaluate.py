"""Models x probes -> predictions on disk -> scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from gentool.inference.score import RankingPrompts, ScoredPrompt
    from gentool.inference.transformers import TransformersBackend


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

    scored = options.rank and options.rank_by == "score"
    say = progress.say

    def metrics(asker: Asker[Any], ranker: Asker[Any] | None, joint: bool) -> list[dict[str, float] | None]:
        return ask_probes(asker, ranker, asked, tools, options.rank, joint, folder / asker.model, progress)

    results: dict[str, ModelMetrics] = {}
    if scored and "gentool" in models and config.train.schedule == "one_output":
        say("gentool: it writes ranking and call as one output; its rankings are not scored")
    if base is not None:
        for asker, ranker in local_askers(config, models, base, say):
            joint = asker.model == "gentool" and config.train.schedule == "one_output"
            found = metrics(asker, ranker if scored else None, joint)
            results[asker.model] = {**results.get(asker.model, {}), asker.seed: found}
    for row, server in options.servers.items():
        client = Client(row, server, calls, say)
        if scored:
            say(f"{row}: a server gives no likelihoods, so its rankings are generated, not scored")
        try:
            results[row] = {config.seeds[0]: metrics(_server_asker(config, row, server, client), None, False)}
        finally:
            if client.usage.requests or client.usage.cached:
                progress.say(f"{row}: {client.usage}")
    return make_scores(results, asked, config.seeds, options.bootstrap, options.confidence)


def local_askers(
    config: Config, models: Mapping[ModelKey, Mapping[int, str]], base: str, say: Callable[[str], None]
) -> Iterator[tuple[Asker[list[int]], Asker[ScoredPrompt]]]:
    """For each checkpoint who lets it write, and who scores its rankings; both load it once."""
    from gentool.inference.score import RankingPrompts
    from gentool.inference.transformers import TransformersBackend
    from gentool.models import weights_hash
    from gentool.training.prepare import make_renderer

    options, dtype = config.evaluate, config.model.dtype
    four_bit = config.train.method == "qlora"  # the untrained base too: it is what the arms start from
    renderer = make_renderer(config, base)
    load = partial(
        TransformersBackend,
        renderer=renderer,
        dtype=dtype,
        batch_size=options.batch_size,
        four_bit=four_bit,
        share=options.shared_prefix == "auto",
        say=say,
    )
    rankings = RankingPrompts(renderer)
    for model, checkpoints in models.items():
        for seed, path in checkpoints.items():
            weights = f"{weights_hash(path)} {dtype}{' in 4 bits' if four_bit else ''}"
            loaded = cache(partial(load, path))
            asker = Asker(model, seed, weights, renderer, loaded, config.seed, options.max_new_tokens)
            yield asker, _ranker(asker, rankings, loaded)


def _ranker(
    asker: Asker[Any], prompts: RankingPrompts, load: Callable[[], TransformersBackend]
) -> Asker[ScoredPrompt]:
    """Like ``asker``, but rankings are scored."""
    from gentool.inference.score import RankingBackend

    return Asker(
        asker.model,
        asker.seed,
        asker.weights,
        prompts,
        lambda: RankingBackend(load()),
        asker.order_seed,
        asker.max_new_tokens,
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


def ask_probes(
    asker: Asker[Any],
    ranker: Asker[Any] | None,
    asked: Sequence[Probe],
    tools: Mapping[str, Tool],
    rank: bool,
    joint: bool,
    folder: Path,
    progress: Progress,
) -> list[dict[str, float] | None]:
    """Ask one model with one seed, ``ranker`` (if any) for its rankings; the metrics of each probe."""
    answers: dict[tuple[str, str, str], Prediction] = {}
    for scenario in SCENARIOS:
        requests = query_requests([p for p in asked if p.scenario == scenario], rank, joint)
        path = folder / f"{scenario}.jsonl"
        written = [r for r in requests if ranker is None or r.task != "rank"]
        found = asker.ask(written, tools, path, progress)
        if ranker is not None and len(written) < len(requests):
            found += ranker.ask([r for r in requests if r.task == "rank"], tools, path, progress)
        answers |= {p.key: p for p in found}
    return [probe_metrics(p, Answers(answers), tools) for p in asked]
