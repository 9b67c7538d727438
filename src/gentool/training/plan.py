"""What is trained on, in which order: decided before training starts, from the seed alone.

A plan is a list of optimizer steps, a step a list of items. So resuming, several processes and equal budgets for the
arms need no further state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gentool.config import Arm, Schedule, StageName, TrainConfig
from gentool.jsonl import GenToolError
from gentool.prompting.order import seeded
from gentool.records import Sample, Task
from gentool.scenarios.targets import served
from gentool.training.mixture import MixPart, draw

ItemTask = Task | Literal["chat"]


@dataclass(frozen=True, slots=True)
class Item:
    """One sample for one task, with the tools in the order of ``epoch``; for ``chat`` a turn of the mixture."""

    sample: int
    task: ItemTask
    epoch: int


@dataclass(frozen=True)
class StagePlan:
    """One stage: its items in order, cut into ``steps`` parts of equal size (give or take one)."""

    name: StageName
    learning_rate: float
    items: tuple[Item, ...]
    steps: int
    tokens: int

    def step(self, number: int) -> list[Item]:
        """The items of one optimizer step."""
        n = len(self.items)
        return list(self.items[number * n // self.steps : (number + 1) * n // self.steps])


def stages_of(arm: Arm, schedule: Schedule, replay: float = 0.0) -> list[tuple[StageName, dict[Task, float]]]:
    """The stages of an arm, each with its tasks and the share of the samples that each task gets.

    ``replay``: the share of rank samples in the select stage of ``two_pass``.
    """
    if arm != "gentool":
        return [("select", {"select": 1.0})]
    if schedule == "one_output":
        return [("joint", {"joint": 1.0})]
    if schedule == "mixed":
        return [("mixed", {"rank": 1.0, "select": 1.0})]
    return [("rank", {"rank": 1.0}), ("select", {"select": 1.0, "rank": replay})]


def stage_folders(stages: Path, arm: Arm, seed: int, schedule: Schedule) -> list[Path]:
    """Where the stages of an arm lie in a run's ``stages``, in order; the last one holds the arm's model."""
    return [stages / arm / f"seed-{seed}" / name for name, _ in stages_of(arm, schedule)]


class EpochSamples:
    """Which samples an arm sees in an epoch: ``sft`` each query in one state of its catalogue, the others all.

    ``len``: how many, the same for each epoch; ``most``: the largest share of those that no shown tool serves
    (``train.max_declined``). Which of them sit out is drawn for each epoch. Raises :class:`GenToolError` if none is
    left.
    """

    def __init__(self, samples: Iterable[Sample], arm: Arm, most: float, seed: int) -> None:
        own = [(i, served(s)) for i, s in enumerate(samples) if arm != "sft" or s.single_state]
        self._own = [i for i, _ in own]
        self._declined = [i for i, is_served in own if not is_served]
        room = most / (1 - most) * (len(own) - len(self._declined)) if most < 1 else len(own)
        self._out = max(0, len(self._declined) - int(room))
        self._seed = seed
        if not len(self):
            raise GenToolError(
                f"there is nothing to train the arm {arm} on: it has {len(own)} samples, in none of which a tool "
                f"serves the query, and train.max_declined is {most:g}. Fix: give pairs of group T queries that one of "
                "their tools serves, or add sets to scenarios.train_sets."
            )

    def of(self, epoch: int, stage: StageName) -> list[int]:
        """The samples of an epoch of a stage, in the order of the file."""
        out = set(seeded("declined", self._seed, stage, epoch).sample(self._declined, self._out))
        return [i for i in self._own if i not in out]

    def __len__(self) -> int:
        return len(self._own) - self._out


def epoch_items(
    samples: Sequence[int],
    tasks: dict[Task, float],
    epoch: int,
    seed: int,
    key: str,
    mix: Sequence[MixPart],
    group: Callable[[int], str] | None,
    size: int | None = None,
) -> list[Item]:
    """The items of an epoch in random order; with ``group`` those of a group one after the other, groups at random.

    ``size``: at most so many of a group stand together.
    """
    items: list[Item] = []
    for task, share in tasks.items():
        rng = seeded("epoch", seed, key, task, epoch)
        chosen = list(samples) if share >= 1 else rng.sample(list(samples), round(share * len(samples)))
        items += [Item(i, task, epoch) for i in chosen]
    own = len(items)
    for part in mix:
        items += [Item(i, "chat", 0) for i in draw(part, round(part.weight * own), epoch, seed)]
    rng = seeded("shuffle", seed, key, epoch)
    rng.shuffle(items)
    if group is None:
        return items
    groups: dict[object, list[Item]] = {}
    for n, item in enumerate(items):
        groups.setdefault(n if item.task == "chat" else group(item.sample), []).append(item)
    order = [
        items[i : i + (size or len(items))]
        for items in groups.values()
        for i in range(0, len(items), size or len(items))
    ]
    rng.shuffle(order)
    return [item for of_group in order for item in of_group]


def plan_arm(
    samples: Sequence[Sample],
    arm: Arm,
    config: TrainConfig,
    seed: int,
    length: Callable[[int, ItemTask], int],
    budget: tuple[int, int] | None = None,
    mix: Sequence[MixPart] = (),
) -> list[StagePlan]:
    """The stages of an arm. ``length(sample, task)``: the tokens of a rendered sample; ``mix``: what is mixed in.

    ``budget`` = (tokens, steps): an arm repeats or cuts its data to that many tokens, spread over that many steps;
    several stages share both as their epochs would. Without it, the stages' epochs count.
    """
    own = EpochSamples(samples, arm, config.max_declined, seed)
    plans: list[StagePlan] = []
    budgets = _stage_budgets(samples, arm, config, seed, length, budget, mix)
    group = (lambda i: samples[i].tool_set.id) if config.batches == "grouped" else None
    begin = 0  # epochs go on from stage to stage, so that each shows a new order
    for name, tasks in stages_of(arm, config.schedule, config.replay):
        epochs, rate = config.stage(arm, name)
        budget = budgets[len(plans)]
        items: list[Item] = []
        tokens, epoch, full = 0, 0, False
        while not full and (budget or epoch < epochs):
            shown = own.of(begin + epoch, name)
            new = epoch_items(shown, tasks, begin + epoch, seed, name, mix, group, config.group_size)
            if not budget and epochs - epoch < 1:
                new = new[: round((epochs - epoch) * len(new))]
            for item in new:
                more = length(item.sample, item.task)
                full = budget is not None and tokens + more / 2 > budget[0]
                if full:  # as near to the budget as whole samples come
                    break
                items.append(item)
                tokens += more
            epoch += 1
        steps = budget[1] if budget else max(1, round(len(items) / config.batch_size))
        begin += epoch
        plans.append(StagePlan(name, rate, tuple(items), min(steps, len(items)), tokens))
    return plans


def _stage_budgets(
    samples: Sequence[Sample],
    arm: Arm,
    config: TrainConfig,
    seed: int,
    length: Callable[[int, ItemTask], int],
    budget: tuple[int, int] | None,
    mix: Sequence[MixPart],
) -> list[tuple[int, int] | None]:
    """The budget of each stage of an arm."""
    number = len(stages_of(arm, config.schedule))
    if budget is None or number == 1:
        return [budget] * number
    free = plan_arm(samples, arm, config, seed, length, None, mix)
    tokens, steps = sum(p.tokens for p in free), sum(p.steps for p in free)
    first = [
        (round(budget[0] * p.tokens / tokens), max(1, round(budget[1] * p.steps / steps))) for p in free[:-1]
    ]
    left = budget[0] - sum(t for t, _ in first), max(1, budget[1] - sum(s for _, s in first))
    return [*first, left]
