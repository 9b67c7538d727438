"""What is trained on: samples and the user's own conversations, looked at before training and left out if too long."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gentool.config import Config, TrainConfig
from gentool.jsonl import content_hash, write_text
from gentool.models import check_method, load_tokenizer
from gentool.models.source import read_config
from gentool.models.supported import text_config
from gentool.processes import is_first
from gentool.progress import Progress
from gentool.prompting.renderer import Renderer
from gentool.records import Sample, Tool
from gentool.training.dataset import SampleRenderer, TrainingError
from gentool.training.mixture import Mixture, read_mixture
from gentool.training.plan import ItemTask, stages_of
from gentool.training.preflight import Long, preflight

DROPPED = "dropped.jsonl"


@dataclass(frozen=True)
class TrainingData:
    """All that is trained on, and how it is rendered; everything fits into ``limit`` tokens."""

    renderer: Renderer
    samples: Sequence[Sample]
    tools: Mapping[str, Tool]
    mixture: Mixture
    limit: int
    options: TrainConfig
    _sources: dict[int, SampleRenderer] = field(init=False, default_factory=dict, compare=False, repr=False)

    def source(self, seed: int) -> SampleRenderer:
        """Renders for one training seed; the same one each time, which knows the lengths of what it has rendered."""
        if seed not in self._sources:
            self._sources[seed] = SampleRenderer(
                self.samples,
                self.tools,
                self.renderer,
                seed,
                self.limit,
                self.mixture.turns,
                self.options,
            )
        return self._sources[seed]

    @property
    def hash(self) -> str:
        """Hash of what is trained on."""
        own = content_hash([s.model_dump(mode="json") for s in self.samples] + sorted(self.tools))
        return content_hash([own, self.mixture.hash]) if self.mixture.turns else own


def make_renderer(config: Config, base: str) -> Renderer:
    """The renderer that training and evaluation share."""
    template = None if config.model.random_init else config.model.chat_template
    return renderer_with(config, load_tokenizer(base, template))


def renderer_with(config: Config, tokenizer: Any) -> Renderer:
    """A renderer as the recipe asks for."""
    joint = "gentool" in config.train.arms and config.train.schedule == "one_output"
    fallback = config.prompt.fallback_text if config.prompt.fallback == "text" else None
    return Renderer(tokenizer, config.prompt.tool_format, joint, fallback)


def trained_tasks(config: Config, mixture: Mixture) -> list[ItemTask]:
    """What any arm trains on, each once; ``gentool`` counts always, since it sets the budget of all."""
    found: list[ItemTask] = []
    for arm in {*config.train.arms, "gentool"}:
        for _, tasks in stages_of(arm, config.train.schedule, config.train.replay):
            found += [task for task, share in tasks.items() if share and task not in found]
    return [*sorted(found), "chat"] if mixture.turns else sorted(found)


def token_limit(config: Config, base: str) -> int:
    """The most tokens that a sample may have: ``train.max_length``, or less if the model was made for less."""
    context = getattr(text_config(read_config(base)), "max_position_embeddings", None)
    return min(config.train.max_length, context or config.train.max_length)


def prepare(
    config: Config,
    samples: Sequence[Sample],
    tools: Mapping[str, Tool],
    base: str,
    folder: Path,
    progress: Progress,
) -> TrainingData:
    """Preflight: render everything once, print what was found, leave out what is too long.

    What ``train.drop_long`` leaves out is written to ``dropped.jsonl`` in ``folder``; a sample that is too long for one
    task is left out of all, so that all arms train on the same. Raises :class:`TrainingError` for what cannot be used.
    """
    check_method(base, config.train.method)
    if not samples:
        raise TrainingError("there is nothing to train on. Fix: give pairs of group T queries.")
    renderer = make_renderer(config, base)
    mixture = read_mixture(config.data.mix, config.seed)
    limit = token_limit(config, base)
    data = TrainingData(renderer, samples, tools, mixture, limit, config.train)
    source = data.source(config.seeds[0])
    stages = stages_of("gentool", config.train.schedule)
    epochs = math.ceil(sum(config.train.stage("gentool", name)[0] for name, _ in stages))
    found = preflight(source, trained_tasks(config, mixture), limit, epochs)
    progress.console.print(found.table())
    found.check(config.train.drop_long)
    if found.long:
        if is_first():
            lines = [
                json.dumps(_dropped(source, long, limit), ensure_ascii=False) + "\n" for long in found.long
            ]
            write_text(folder / DROPPED, "".join(lines))
        progress.say(f"{len(found.long)} items are too long and were left out: {folder / DROPPED}")
        long_samples = {long.item.sample for long in found.long if long.item.task != "chat"}
        samples = [s for i, s in enumerate(samples) if i not in long_samples]
        mixture = mixture.without({long.item.sample for long in found.long if long.item.task == "chat"})
        if not samples:
            raise TrainingError(
                f"every sample is longer than {limit} tokens. Fix: raise train.max_length, or lower scenarios.k."
            )
        return replace(data, samples=samples, mixture=mixture)
    if is_first():
        (folder / DROPPED).unlink(missing_ok=True)
    return data


def _dropped(source: SampleRenderer, long: Long, limit: int) -> dict[str, Any]:
    """What is written down about an item that is left out."""
    reason = {"task": long.item.task, "tokens": long.tokens, "reason": f"longer than {limit} tokens"}
    if long.item.task == "chat":
        return {"conversation": source.chats[long.item.sample].where, **reason}
    sample = source.samples[long.item.sample]
    return {"sample": sample.id, "query": sample.query, **reason}
