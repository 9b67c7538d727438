"""Prompts that begin with the same tokens, and caches of keys and values in which such a prefix is computed once.

A row of a batch is laid out as padding, prefix, padding, rest. The attention mask leaves the padding out and position
ids count the tokens before, so a row holds what it would hold on its own; that needs layers that keep every token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from gentool.training.loss import keeps_logits
from gentool.training.shared_prefix.tree import common_length

PASS_COST = 256
"""Tokens that a prefix must save to be worth its own pass through the model."""


@dataclass(frozen=True)
class Group:
    """Prompts, by index, that begin with the same ``shared`` tokens; 0: they have nothing in common worth sharing."""

    members: tuple[int, ...]
    shared: int

    def computed(self, prompts: Sequence[Sequence[int]]) -> int:
        """How many tokens are computed for them."""
        return self.shared + sum(len(prompts[i]) - self.shared for i in self.members)


@dataclass
class _Run:
    """Neighbours in sorted order with ``shared`` tokens in common: the groups found so far, and who is in none."""

    shared: int
    alone: list[int]
    groups: list[tuple[list[int], int]] = field(default_factory=list)
    saved: int = 0

    def add(self, other: _Run) -> None:
        self.alone += other.alone
        self.groups += other.groups
        self.saved += other.saved

    def close(self, cost: int) -> None:
        """Group all by what they have in common, or else those who are in no group yet, where it saves more."""
        everyone = [*self.alone, *(i for members, _ in self.groups for i in members)]
        whole = (len(everyone) - 1) * self.shared - cost
        rest = max(0, (len(self.alone) - 1) * self.shared - cost)
        if whole > self.saved + rest:
            self.alone, self.groups, self.saved = [], [(everyone, self.shared)], whole
        elif rest:
            self.groups.append((self.alone, self.shared))
            self.alone, self.saved = [], self.saved + rest


def one_group(prompts: Sequence[Sequence[int]], members: Iterable[int] | None = None) -> list[Group]:
    """Prompts (all by default) that share nothing, longest first; no group if there are none."""
    ordered = _longest_first(prompts, range(len(prompts)) if members is None else members)
    return [Group(ordered, 0)] if ordered else []


def _longest_first(prompts: Sequence[Sequence[int]], members: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(members, key=lambda i: (-len(prompts[i]), i)))


def group_prompts(prompts: Sequence[Sequence[int]], cost: int = PASS_COST) -> list[Group]:
    """Group prompts by common prefixes so that most tokens are saved; each prefix costs ``cost`` tokens.

    Every prompt is in one group, longest prompts first; those that share nothing are in the last one. A prefix leaves
    each prompt its last token.
    """
    order = sorted(range(len(prompts)), key=lambda i: list(prompts[i]))
    # In sorted order, what a run of prompts has in common is the least of what its neighbours have.
    common = [
        min(common_length(prompts[a], prompts[b]), len(prompts[a]) - 1, len(prompts[b]) - 1)
        for a, b in pairwise(order)
    ]
    stack = [_Run(-1, [])]
    for i, shared in zip(order, [*common, -1], strict=False):
        run = _Run(shared, [i])
        while stack[-1].shared > shared:
            top = stack.pop()
            top.add(run)
            top.close(cost)
            run = top
        if stack[-1].shared < shared:
            stack.append(_Run(shared, []))
        stack[-1].add(run)
    found = [Group(_longest_first(prompts, members), shared) for members, shared in stack[0].groups]
    found.sort(key=lambda group: -len(prompts[group.members[0]]))
    return [*found, *one_group(prompts, stack[0].alone)]


@dataclass(frozen=True)
class Row:
    """A prompt, by index, and how many of its first tokens are taken from a shared prefix."""

    prompt: int
    shared: int


def batches(groups: Sequence[Group], size: int) -> list[list[Row]]:
    """Batches of at most ``size`` prompts, in the order of the groups.

    Prompts with a shared prefix and without do not mix: rests would be padded to the length of whole prompts.
    """
    found = []
    for sharing in (True, False):
        rows = [Row(i, g.shared) for g in groups if (g.shared > 0) == sharing for i in g.members]
        found += [rows[start : start + size] for start in range(0, len(rows), size)]
    return found


def obstacle(model: Any, span: int) -> str | None:
    """Why a model's prompts cannot share prefixes, in words; ``span``: tokens of the longest prompt and answer."""
    config = model.config.get_text_config()
    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=config).layers):
        return "the model has layers that do not keep every token (sliding windows)"
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
    if kinds & {"dynamic", "longrope"}:
        trained = getattr(config, "original_max_position_embeddings", None) or config.max_position_embeddings
        if span > trained:
            return f"the model's positions depend on the longest prompt of a batch beyond {trained} tokens"
    return None


def select_rows(caches: Sequence[DynamicCache], rows: Sequence[int]) -> DynamicCache:
    """A new cache of some rows of several caches, numbered through and padded on the left to the same length."""
    width = max(cache.get_seq_length() for cache in caches)
    found = DynamicCache()
    for n in range(len(caches[0].layers)):
        states = []
        for kind in ("keys", "values"):
            parts = [getattr(cache.layers[n], kind) for cache in caches]
            padded = [torch.nn.functional.pad(p, (0, 0, width - p.shape[-2], 0)) for p in parts]
            states.append(torch.cat(padded)[list(rows)])
        found.update(*states, n)
    return found


@dataclass(frozen=True)
class Filled:
    """A batch as the model has read it but for each row's last token.

    ``ids``, ``mask`` and ``positions`` (rows, width) hold whole prompts; ``cache`` has ``width - 1`` keys and values.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    cache: DynamicCache


class PrefixCache:
    """Reads batches of prompts with a model; a prefix is kept as long as batches follow that need it."""

    def __init__(self, model: Any, pad_id: int, device: torch.device) -> None:
        self.model = model
        self.pad_id = pad_id
        self.device = device
        self._kept: dict[tuple[int, ...], DynamicCache] = {}
        self._last: dict[str, int] = {"logits_to_keep": 1} if keeps_logits(model) else {}

    def fill(self, prompts: Sequence[Sequence[int]], rows: Sequence[Row]) -> Filled:
        """Read the prompts of a batch, all but the last token of each."""
        prefixes = [tuple(prompts[row.prompt][: row.shared]) for row in rows]
        rests = [list(prompts[row.prompt][row.shared :]) for row in rows]
        width, longest = max(map(len, prefixes)), max(map(len, rests))
        ids, mask = [], []
        for prefix, rest in zip(prefixes, rests, strict=True):
            before, between = width - len(prefix), longest - len(rest)
            ids.append([self.pad_id] * before + list(prefix) + [self.pad_id] * between + rest)
            mask.append([0] * before + [1] * len(prefix) + [0] * between + [1] * len(rest))
        seen = torch.tensor(mask, device=self.device)
        positions = (seen.cumsum(-1) - 1).clamp(min=0)  # as `generate` counts them
        filled = Filled(torch.tensor(ids, device=self.device), seen, positions, self._start(prefixes))
        if longest > 1:
            self.model(
                input_ids=filled.ids[:, width:-1],
                attention_mask=seen[:, :-1],
                position_ids=positions[:, width:-1],
                past_key_values=filled.cache,
                use_cache=True,
                **self._last,
            )
        return filled

    def _start(self, prefixes: Sequence[tuple[int, ...]]) -> DynamicCache:
        """A cache with a row for each prefix; each of them is computed once."""
        if not any(prefixes):
            return DynamicCache()
        needed = list(dict.fromkeys(prefixes))
        # What is not needed any more is freed before anything is computed.
        self._kept = {prefix: self._kept[prefix] for prefix in needed if prefix in self._kept}
        for prefix in needed:
            if prefix not in self._kept:
                cache = self._kept[prefix] = DynamicCache()
                ids = torch.tensor([prefix], device=self.device)
                self.model(input_ids=ids, past_key_values=cache, use_cache=True, **self._last)
        return select_rows([self._kept[prefix] for prefix in needed], [needed.index(p) for p in prefixes])

    def exact(self, prompts: Sequence[Sequence[int]], rows: Sequence[Row]) -> bool:
        """Whether prompts of one batch give the same next-token logits as each on its own, but for rounding."""
        filled = self.fill(prompts, rows)
        found = self.model(
            input_ids=filled.ids[:, -1:],
            attention_mask=filled.mask,
            position_ids=filled.positions[:, -1:],
            past_key_values=filled.cache,
            use_cache=True,
            **self._last,
        ).logits[:, -1]
        tolerance = 1e-3 if found.dtype.itemsize >= 4 else 0.05
        for logits, row in zip(found.float(), rows, strict=True):
            ids = torch.tensor([list(prompts[row.prompt])], device=self.device)
            alone = self.model(input_ids=ids, use_cache=False, **self._last).logits[0, -1].float()
            if not (logits - alone).norm() <= tolerance * (alone - alone.mean()).norm():  # not NaN either
                return False
        return True
