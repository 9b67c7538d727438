"""What is trained on here: invented token ids in lists that share a prefix, and models with random weights."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gentool.prompting.renderer import Rendered
from gentool.training.plan import Item, StagePlan


@dataclass(frozen=True)
class Shape:
    """Sizes of a Qwen3."""

    hidden: int
    layers: int
    heads: int
    groups: int
    head: int
    inner: int
    vocabulary: int
    tied: bool


SHAPES = {
    "toy": Shape(32, 2, 2, 1, 16, 96, 500, False),
    "tiny": Shape(128, 2, 2, 1, 64, 384, 2048, False),
    "small": Shape(256, 4, 4, 2, 64, 768, 8192, False),
    "medium": Shape(384, 4, 6, 3, 64, 1152, 8192, False),
    "qwen3-0.6b": Shape(1024, 28, 16, 8, 128, 3072, 151936, True),
    "qwen3-1.7b": Shape(2048, 28, 16, 8, 128, 6144, 151936, True),
    "qwen3-8b": Shape(4096, 36, 32, 8, 128, 12288, 151936, False),
}
"""The last three are those of the published models."""


def make_model(shape: Shape, seed: int, dtype: torch.dtype, attention: str = "sdpa") -> Any:
    """A Qwen3 with random weights on the CPU; the same seed gives the same weights."""
    from transformers import AutoModelForCausalLM, Qwen3Config

    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.groups,
        head_dim=shape.head,
        max_position_embeddings=40960,
        tie_word_embeddings=shape.tied,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)


def branches(prefix: int, number: int, rest: int, vocabulary: int, seed: int) -> list[Rendered]:
    """Samples that share ``prefix`` tokens and have about ``rest`` of their own, half of them the target."""
    rng = random.Random(seed)
    shared = _ids(rng, prefix, vocabulary)
    rows = []
    for _ in range(number):
        query, answer = (_ids(rng, rng.randint(rest // 2 - 5, rest // 2 + 5), vocabulary) for _ in range(2))
        rows.append(Rendered(shared + query + answer, prefix + len(query)))
    return rows


def tool_list(prefix: int, queries: int, vocabulary: int, seed: int) -> list[Rendered]:
    """The samples of a tool list as GenTool makes them, each query to select (about 30 tokens of question, 30 of
    answer) and, with a request of 30 tokens behind it, to rank (20 of answer)."""
    rng = random.Random(seed)
    shared, request = _ids(rng, prefix, vocabulary), _ids(rng, 30, vocabulary)
    rows = []
    for _ in range(queries):
        query = _ids(rng, rng.randint(20, 40), vocabulary)
        call = _ids(rng, rng.randint(20, 40), vocabulary)
        ranking = _ids(rng, rng.randint(15, 25), vocabulary)
        for prompt, answer in ((shared + query, call), (shared + query + request, ranking)):
            rows.append(Rendered(prompt + answer, len(prompt)))
    return rows


def _ids(rng: random.Random, number: int, vocabulary: int) -> list[int]:
    return [rng.randrange(2, vocabulary) for _ in range(number)]


@dataclass(frozen=True)
class Given:
    """Stands in for a SampleRenderer: rows that are rendered already."""

    rows: Sequence[Rendered]

    def render(self, item: Item) -> Rendered:
        return self.rows[item.sample]


def as_plan(rows: Sequence[Rendered], size: int) -> StagePlan:
    """A plan of steps of ``size`` rows each, in order."""
    items = tuple(Item(i, "select", 0) for i in range(len(rows)))
    return StagePlan("mixed", 1e-5, items, len(rows) // size, sum(len(row.ids) for row in rows))
