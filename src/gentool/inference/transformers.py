"""Batched greedy generation, and log-likelihoods, with transformers; prompts that begin alike are read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import torch
from transformers import GenerationConfig

from gentool.inference.backend import Completion, never
from gentool.inference.prefix_cache import (
    Filled,
    Group,
    PrefixCache,
    Row,
    batches,
    group_prompts,
    obstacle,
    one_group,
)
from gentool.models import ModelError, context_length, device, load_model, torch_dtype
from gentool.prompting.renderer import Renderer


def _silent(text: str) -> None:
    pass


class TransformersBackend:
    """A model on this machine. Greedy: the same prompt gives the same text.

    ``share``: compute what prompts begin with in common once, where that is exact. ``say`` is told how many tokens of
    the prompts are computed, and once why nothing is shared.
    """

    def __init__(
        self,
        path: str,
        renderer: Renderer,
        dtype: str = "auto",
        batch_size: int = 16,
        four_bit: bool | None = None,
        share: bool = True,
        say: Callable[[str], None] = _silent,
    ) -> None:
        self.renderer = renderer
        self.batch_size = batch_size
        self.share = share
        self.say = say
        self.device = device()
        self.model = load_model(path, torch_dtype(dtype), four_bit=four_bit).to(self.device).eval()
        self._checked = False

    def _config(self, max_new_tokens: int) -> GenerationConfig:
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=self.renderer.stop_ids,
            pad_token_id=self.renderer.tokenizer.pad_token_id,
        )

    def _reader(self) -> PrefixCache:
        return PrefixCache(self.model, self.renderer.tokenizer.pad_token_id, self.device)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def complete(
        self, prompts: Sequence[Sequence[int]], max_new_tokens: int, stopping: Callable[[], bool] = never
    ) -> Iterator[list[tuple[int, Completion]]]:
        """See :class:`gentool.inference.backend.Backend`; prompts of like beginning share a batch, longest first.

        Raises :class:`ModelError` for a prompt that the model cannot read whole.
        """
        self._check_length(prompts, max_new_tokens, "the answer may have")
        config = self._config(max_new_tokens)
        # The model's own generation_config may ask for sampling; the one given here replaces it whole.
        self.model.generation_config = config
        reader = self._reader()
        for rows in batches(self._groups(prompts, max_new_tokens, reader), self.batch_size):
            if stopping():
                return
            inputs = self._inputs(prompts, rows, reader)
            width = inputs["input_ids"].shape[1]
            output = self.model.generate(**inputs, generation_config=config)
            yield [
                (row.prompt, self._completion(ids, len(prompts[row.prompt])))
                for row, ids in zip(rows, output[:, width:].tolist(), strict=True)
            ]

    def _inputs(
        self, prompts: Sequence[Sequence[int]], rows: Sequence[Row], reader: PrefixCache
    ) -> dict[str, Any]:
        """What ``generate`` takes: ids and mask (rows, width); where a prefix is shared, the cache of all but the last
        token too. ``generate`` counts positions from the mask, so padding may stand anywhere before that token.
        """
        if any(row.shared for row in rows):
            filled = reader.fill(prompts, rows)
            return {
                "input_ids": filled.ids,
                "attention_mask": filled.mask,
                "past_key_values": filled.cache,
            }
        pad = self.renderer.tokenizer.pad_token_id
        width = max(len(prompts[row.prompt]) for row in rows)
        missing = [width - len(prompts[row.prompt]) for row in rows]
        ids = [[pad] * n + list(prompts[row.prompt]) for n, row in zip(missing, rows, strict=True)]
        mask = [[0] * n + [1] * (width - n) for n in missing]
        return {
            "input_ids": torch.tensor(ids, device=self.device),
            "attention_mask": torch.tensor(mask, device=self.device),
        }

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def score(
        self,
        prompts: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[Sequence[int]]],
        stopping: Callable[[], bool] = never,
    ) -> Iterator[list[tuple[int, list[float]]]]:
        """(Index into ``prompts``, log-likelihood in nats of each of its continuations), a batch at a time.

        Raises :class:`ModelError` for a prompt that the model cannot read whole.
        """
        longest = max((len(c) for some in continuations for c in some), default=0)
        self._check_length(prompts, longest, "what is scored has up to")
        reader = self._reader()
        for rows in batches(self._groups(prompts, longest, reader), self.batch_size):
            if stopping():
                return
            filled = reader.fill(prompts, rows)
            wanted = [continuations[row.prompt] for row in rows]
            # The first continuation of each prompt, then the second of each; a prompt may have fewer than others.
            columns = [self._likelihoods(filled, column) for column in zip_longest(*wanted, fillvalue=())]
            yield [
                (row.prompt, [column[n] for column in columns[: len(wanted[n])]])
                for n, row in enumerate(rows)
            ]

    def _likelihoods(self, filled: Filled, continuations: Sequence[Sequence[int]]) -> list[float]:
        """Log-likelihood of one continuation of each row of the batch; they are padded on the right."""
        sizes = torch.tensor([len(tokens) for tokens in continuations], device=self.device)
        width = int(sizes.max())
        pad = self.renderer.tokenizer.pad_token_id
        padded = [[*tokens, *[pad] * (width - len(tokens))] for tokens in continuations]
        wanted = torch.tensor(padded, device=self.device)
        places = torch.arange(width, device=self.device)
        inside = places < sizes[:, None]
        # A continuation is predicted from the prompt's last token and all of its own but the last.
        logits = self.model(
            input_ids=torch.cat([filled.ids[:, -1:], wanted[:, :-1]], dim=1),
            attention_mask=torch.cat([filled.mask[:, :-1], inside.long()], dim=1),
            position_ids=filled.positions[:, -1:] + places,
            past_key_values=filled.cache,
            use_cache=True,
        ).logits
        filled.cache.crop(-width)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        each = torch.log_softmax(logits, dim=-1).gather(-1, wanted[..., None])[..., 0]
        scores: list[float] = each.where(inside, 0.0).sum(-1).tolist()
        return scores

    def _check_length(self, prompts: Sequence[Sequence[int]], more: int, what: str) -> None:
        limit = context_length(self.model)
        longest = max(map(len, prompts), default=0)
        if limit is not None and longest + more > limit:
            raise ModelError(
                f"a prompt has {longest} tokens and {what} {more}; the model reads {limit}. "
                "Nothing is cut silently. Fix: show fewer or shorter tools, or lower the limit of new tokens."
            )

    def _groups(self, prompts: Sequence[Sequence[int]], more: int, reader: PrefixCache) -> list[Group]:
        """The prompts in groups that share a prefix, where that pays and is exact."""
        groups = group_prompts(prompts)
        sharing = [g for g in groups if g.shared]
        if sharing and self.share:
            reason = obstacle(self.model, max(map(len, prompts)) + more)
            if reason is None and not self._checked:
                # One row of each end, so that one is padded both before its prefix and after it.
                ends = [(sharing[0], 0), (sharing[-1], -1)]
                rows = [Row(group.members[at], group.shared) for group, at in ends]
                self._checked = reader.exact(prompts, rows)
                reason = None if self._checked else "the model's answers would differ"
            if reason is not None:
                self.share = False
                self.say(f"prompts do not share their beginnings: {reason}")
        if not self.share:
            groups = one_group(prompts)
        total, computed = sum(map(len, prompts)), sum(g.computed(prompts) for g in groups)
        self.say(f"{len(prompts)} prompts: {computed:,} of {total:,} tokens are computed")
        return groups

    def _completion(self, ids: list[int], prompt_tokens: int) -> Completion:
        text, finished = self.renderer.decode(ids)
        stop = next((n + 1 for n, token in enumerate(ids) if token in self.renderer.stop_ids), len(ids))
        return Completion(text, stop, finished, prompt_tokens)
