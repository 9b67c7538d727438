"""Before training: does everything fit, is everything there, is something to be learned, does a place give it away?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from gentool.config import Arm
from gentool.prompting.renderer import Rendered
from gentool.records import GENERATE_RESPONSE
from gentool.training.dataset import SampleRenderer, TrainingError
from gentool.training.plan import Item, ItemTask, StagePlan

NEAR = 64
"""Orders of tools differ by a few tokens: what is nearer to the limit than this is looked at in further orders."""

_SHOWN = 5
"""How many samples a message names."""


@dataclass(frozen=True)
class Long:
    """An item that does not fit."""

    item: Item
    name: str
    tokens: int


@dataclass(frozen=True)
class Preflight:
    """What was found. ``lengths``: (prompt, target) tokens of each item of a task, in epoch 0's order of tools."""

    limit: int
    lengths: Mapping[ItemTask, Sequence[tuple[int, int]]]
    long: Sequence[Long]
    lost: Sequence[str] = field(default=())

    def check(self, drop_long: bool) -> None:
        """Raise :class:`TrainingError` for what would be lost, and for what is too long unless it is dropped."""
        if self.lost:
            raise TrainingError(
                f"{len(self.lost)} samples lose something in the chat template:\n"
                + "\n".join(f"  {line}" for line in self.lost[:_SHOWN])
                + "\nFix: set `prompt.tool_format: text`, or use another template (`model.chat_template`)."
            )
        if self.long and not drop_long:
            longest = sorted(self.long, key=lambda found: -found.tokens)
            raise TrainingError(
                f"{len(self.long)} items do not fit into {self.limit} tokens (train.max_length, or what the model "
                "was made for); nothing is cut silently. The longest:\n"
                + "\n".join(f"  {found.tokens} tokens: {found.name}" for found in longest[:_SHOWN])
                + f"\nFix: set train.max_length to {longest[0].tokens} or more if the model reads that much, lower "
                "scenarios.k, shorten the tools' descriptions, or leave these samples out with --drop-long."
            )

    def table(self) -> Table:
        """Tokens by task."""
        table = Table(box=SIMPLE_HEAD, title=f"Tokens before training (limit {self.limit})")
        for column in (
            "task",
            "samples",
            "prompt: median",
            "95 %",
            "longest",
            "target: median",
            "longest",
            "too long",
        ):
            table.add_column(column, justify="left" if column == "task" else "right")
        too_long = Counter(found.item.task for found in self.long)
        for task, lengths in self.lengths.items():
            if lengths:
                prompt, target = np.array(lengths).T
                numbers = [
                    *np.percentile(prompt, [50, 95]), prompt.max(), np.median(target), target.max(), too_long[task],
                ]  # fmt: skip
                table.add_row(task, str(len(lengths)), *(f"{n:.0f}" for n in numbers))
        return table


def preflight(source: SampleRenderer, tasks: Sequence[ItemTask], limit: int, epochs: int) -> Preflight:
    """Render every sample for every task and look at it; ``epochs``: how many orders of tools training will show."""
    lengths: dict[ItemTask, list[tuple[int, int]]] = {}
    long: list[Long] = []
    lost: list[str] = []
    for task in tasks:
        lengths[task] = []
        for i in range(len(source.chats if task == "chat" else source.samples)):
            item = Item(i, task, 0)
            rendered = source.rendered(item)
            total = len(rendered.ids)
            lengths[task].append((rendered.start, total - rendered.start))
            # Masked names have other lengths in each epoch.
            near = total > limit - NEAR or source.options.mask_names > 0
            if near and total <= limit and task != "chat":
                total = max(len(source.rendered(Item(i, task, e)).ids) for e in range(epochs))
            if total > limit:
                long.append(Long(item, source.name(item), total))
            lost += [f"{source.name(item)}: {what}" for what in _losses(source, item, rendered)]
    return Preflight(limit, lengths, long, lost)


def _squeezed(text: str) -> str:
    """Without white space, which templates and tokenizers may change."""
    return "".join(text.split())


def _losses(source: SampleRenderer, item: Item, rendered: Rendered) -> Iterator[str]:
    """What of an item's content cannot be found in its tokens, or cannot be read back from them."""
    renderer = source.renderer
    target, finished = renderer.decode(rendered.ids[rendered.start :])
    if not target or not finished:
        yield f"expected a target that ends with a stop token; found {target[-60:]!r}"
        return
    prompt = _squeezed(renderer.tokenizer.decode(rendered.ids[: rendered.start]))
    if item.task == "chat":
        turn = source.chats[item.sample]
        said = [str(m["content"]) for m in turn.messages if m["role"] == "user"]
        if said and _squeezed(said[-1]) not in prompt:
            yield f"expected the user's text {said[-1][:60]!r} in the prompt; it is not there"
        if turn.answer["content"] and _squeezed(turn.answer["content"]) not in _squeezed(target):
            yield f"expected the answer {turn.answer['content'][:60]!r} in the target; found {target[:60]!r}"
        return
    sample = source.samples[item.sample]
    tools, ranking, call = source.content(sample, item.epoch)
    shown = [tool.name for tool in tools]
    hidden = GENERATE_RESPONSE if renderer.fallback_text is not None else None
    for text in (sample.query, *(name for name in shown if name != hidden)):
        if _squeezed(text) not in prompt:
            yield f"expected {text[:60]!r} in the prompt; it is not there"
    parsed = renderer.parse(item.task, target, shown, finished)
    if item.task != "select" and parsed.ranking != ranking:
        yield f"expected the ranking {' > '.join(ranking)}; read {parsed.ranking or parsed.error}"
    plain = call.name == hidden and parsed.outcome == "answer"
    if item.task != "rank" and parsed.tool_call != call and not plain:
        yield f"expected the call {call.function}; read {parsed.tool_call or parsed.error or target[:60]!r}"


def positions(source: SampleRenderer, plans: Sequence[StagePlan]) -> np.ndarray[Any, Any]:
    """At which place of the list the right tool stands: counts of (pair, set, epoch), since these share an order."""
    seen: dict[tuple[str, ...], int] = {}
    places = 0
    for plan in plans:
        for item in plan.items:
            if item.task == "chat":
                continue
            sample = source.samples[item.sample]
            right = sample.tool_call.name
            if right == GENERATE_RESPONSE and source.renderer.fallback_text is not None:
                continue
            names = [t.name for t in source.shown(sample, item.epoch)]
            places = max(places, len(names))
            seen[sample.tool_set.id, str(item.epoch), right, *names] = names.index(right)
    return np.bincount(list(seen.values()), minlength=places)


def check_positions(counts: np.ndarray[Any, Any], arm: Arm) -> None:
    """Raise :class:`TrainingError` where one place holds the right tool far too often.

    That is: more than twice its share, in at least 100 lists; a model would learn the place instead of the tool.
    """
    total = int(counts.sum())
    if total >= 100 and counts.max() > 2 * total / len(counts):
        raise TrainingError(
            f"{arm}: the right tool stands at place {int(counts.argmax()) + 1} of {len(counts)} in "
            f"{100 * counts.max() / total:.0f} % of {total} tool lists; expected about {100 / len(counts):.0f} %. "
            "Fix: take another `seeds`, more epochs (each draws new orders) or more pairs."
        )


def balance_table(rows: Mapping[Arm, tuple[np.ndarray[Any, Any], Mapping[str, int]]]) -> Table:
    """Per arm: the share of each place of the right tool, and of the right answers that are no tool."""
    table = Table(box=SIMPLE_HEAD, title="Where the right answer stands, in % of the tool lists shown")
    table.add_column("arm")
    width = max((len(counts) for counts, _ in rows.values()), default=0)
    for place in range(width):
        table.add_column(f"{place + 1}.", justify="right")
    table.add_column("generate_response is right", justify="right")
    for arm, (counts, answers) in rows.items():
        share = 100 * counts / max(1, counts.sum())
        none = 100 * answers[GENERATE_RESPONSE] / max(1, sum(answers.values()))
        table.add_row(arm, *(f"{s:.0f}" for s in share), f"{none:.0f} % of samples")
    return table


def answers(source: SampleRenderer, plans: Sequence[StagePlan]) -> Counter[str]:
    """How often each tool is the right answer."""
    return Counter(
        source.samples[item.sample].tool_call.name
        for plan in plans
        for item in plan.items
        if item.task != "chat"
    )
