"""Samples rendered for training, and padded batches of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_lowercase
from typing import Any

import torch

from gentool.config import TrainConfig
from gentool.jsonl import GenToolError
from gentool.prompting.order import seeded, shown_order
from gentool.prompting.renderer import Rendered, Renderer, Rival
from gentool.records import GENERATE_RESPONSE_TOOL, Sample, Tool, ToolCall
from gentool.scenarios.neighbours import tool_text
from gentool.training.mixture import ChatTurn
from gentool.training.plan import Item, ItemTask
from gentool.training.shared_prefix.tree import common_length


class TrainingError(GenToolError):
    """Training that cannot start or go on; says what is in the way and the fix."""


def sample_texts(samples: Sequence[Sample], tools: Mapping[str, Tool]) -> list[str]:
    """Texts like those of prompts and targets, to train a tokenizer on: what training sees, nothing of unseen tools."""
    texts = [json.dumps(tools[i].openai()) for s in samples for i in s.tool_set.tools]
    texts += [tool_text(tools[i]) for s in samples for i in s.tool_set.pair_tools]
    return texts + [s.query for s in samples] + [json.dumps(s.tool_call.arguments) for s in samples]


class SampleRenderer:
    """Renders samples for training; knows the tools and the seed of the orders.

    ``limit``: the most tokens that an item may have; ``chats``: what is mixed in; ``options``: of these ``tool_order``,
    ``mask_names`` and ``preference`` count.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        tools: Mapping[str, Tool],
        renderer: Renderer,
        seed: int,
        limit: int,
        chats: Sequence[ChatTurn] = (),
        options: TrainConfig | None = None,
    ) -> None:
        self.options = options or TrainConfig()
        self.samples = samples
        self.chats = chats
        self.tools = {**tools, GENERATE_RESPONSE_TOOL.id: GENERATE_RESPONSE_TOOL}
        self.renderer = renderer
        self.seed = seed
        self.limit = limit
        self._lengths: dict[tuple[int, ItemTask], int] = {}

    def shown(self, sample: Sample, epoch: int) -> list[Tool]:
        """The sample's tools in the order of an epoch."""
        own = sample.id if self.options.tool_order == "sample" else ""
        return [self.tools[i] for i in shown_order(sample.tool_set, self.seed, epoch, own)]

    def render(self, item: Item) -> Rendered:
        """Token ids and target of an item. Raises :class:`TrainingError` if it is longer than the limit."""
        rendered = self.rendered(item)
        if len(rendered.ids) > self.limit:
            raise TrainingError(
                f"{self.name(item)} has {len(rendered.ids)} tokens; the limit is {self.limit}. Nothing is cut "
                "silently. Fix: raise train.max_length, lower scenarios.k, shorten the tools' descriptions, or "
                "leave such samples out with --drop-long."
            )
        return rendered

    def rendered(self, item: Item) -> Rendered:
        """Token ids and target of an item, however long."""
        row = self._rendered(item)
        if item.epoch == 0:
            self._lengths[item.sample, item.task] = len(row.ids)
        return row

    def _rendered(self, item: Item) -> Rendered:
        if item.task == "chat":
            turn = self.chats[item.sample]
            return self.renderer.chat(turn.messages, turn.answer, turn.tools)
        sample = self.samples[item.sample]
        shown, ranking, call = self.content(sample, item.epoch)
        row = self.renderer.training(sample.query, sample.now, shown, item.task, ranking, call)
        rival = (
            self._rival(sample, item.epoch, shown)
            if self.options.preference and item.task == "select"
            else None
        )
        if rival is None:
            return row
        other = ToolCall.of(rival, call.arguments)
        ids = self.renderer.training(sample.query, sample.now, shown, item.task, ranking, other).ids
        place = common_length(row.ids, ids)
        return replace(row, rival=Rival(place, ids[place], self.options.preference))

    def _rival(self, sample: Sample, epoch: int, shown: Sequence[Tool]) -> str | None:
        """The name shown of the pair's other tool, where both are there and one is right."""
        pair = sample.tool_set.pair_tools
        others = [i for i in pair if self.tools[i].name != sample.tool_call.name]
        if len(pair) != 2 or len(others) != 1:
            return None
        return shown[[tool.id for tool in self.shown(sample, epoch)].index(others[0])].name

    def content(self, sample: Sample, epoch: int) -> tuple[list[Tool], tuple[str, ...], ToolCall]:
        """Tools in the order of an epoch, ranking and call as they are rendered.

        For a share of the (list, epoch) with names drawn at random (Hammer, Lin et al. 2024).
        """
        shown = self.shown(sample, epoch)
        rng = seeded("mask", self.seed, sample.tool_set.id, epoch)
        if not self.options.mask_names or rng.random() >= self.options.mask_names:
            return shown, sample.ranking, sample.tool_call
        names = {GENERATE_RESPONSE_TOOL.name: GENERATE_RESPONSE_TOOL.name}
        for tool in sorted(shown, key=lambda tool: tool.id):
            names.setdefault(tool.name, "tool_" + "".join(rng.choices(ascii_lowercase, k=5)))
        renamed = [
            tool.model_copy(update={"function": tool.function.model_copy(update={"name": names[tool.name]})})
            for tool in shown
        ]
        call = ToolCall.of(names[sample.tool_call.name], sample.tool_call.arguments)
        return renamed, tuple(names[name] for name in sample.ranking), call

    def name(self, item: Item) -> str:
        """What to call an item in a message."""
        if item.task == "chat":
            return f"a conversation ({self.chats[item.sample].where})"
        sample = self.samples[item.sample]
        return f"sample {sample.id} ({sample.query[:60]!r}, {item.task})"

    def length(self, sample: int, task: ItemTask) -> int:
        """Tokens of a sample for a task, in the order of epoch 0."""
        if (sample, task) not in self._lengths:
            self.rendered(Item(sample, task, 0))
        return self._lengths[sample, task]


def collate(batches: list[list[Rendered]], pad_id: int, whole: bool = False) -> dict[str, Any]:
    """Pad to the left: ``input_ids``, ``attention_mask`` and ``position_ids``, each (samples, longest sample).

    Targets end together, so logits are needed for the last columns only: ``logits_to_keep`` says how many, and
    ``labels`` is (samples, logits_to_keep). That saves most of the cost of the output layer, exactly.
    ``whole=True``, for models that cannot: all columns. ``weights`` are there if any sample's is not 1, ``rivals`` (-1
    where there is none) and ``rival_weights`` if any sample has one, of the shape of ``labels``.
    """
    rows = [row for batch in batches for row in batch]
    width = max(len(row.ids) for row in rows)
    kept = width if whole else max(len(row.ids) - row.start for row in rows) + 1

    def padded(values: list[list[int]], filler: int) -> torch.Tensor:
        return torch.tensor([[filler] * (width - len(v)) + v for v in values])

    batch: dict[str, Any] = {
        "input_ids": padded([r.ids for r in rows], pad_id),
        "attention_mask": padded([[1] * len(r.ids) for r in rows], 0),
        "position_ids": padded([list(range(len(r.ids))) for r in rows], 0),
        "labels": padded([r.labels for r in rows], -100)[:, -kept:],
    }
    if any(row.weight != 1 for row in rows):
        batch["weights"] = torch.tensor([[row.weight] * kept for row in rows])
    if any(row.rival for row in rows):
        rivals, rival_weights = torch.full((len(rows), width), -1), torch.zeros(len(rows), width)
        for n, row in enumerate(rows):
            if row.rival:
                place = width - len(row.ids) + row.rival.place
                rivals[n, place], rival_weights[n, place] = row.rival.token, row.rival.weight
        batch["rivals"], batch["rival_weights"] = rivals[:, -kept:], rival_weights[:, -kept:]
    return batch if whole else {**batch, "logits_to_keep": kept}
