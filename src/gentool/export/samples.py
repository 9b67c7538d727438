"""Training samples as examples: the same prompts and targets, in the same orders, as GenTool's own training renders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from gentool.config import Arm, Config, ConfigError, StageName
from gentool.export.example import Example
from gentool.jsonl import JsonlFile
from gentool.prompting.order import shown_order
from gentool.prompting.renderer import answer_message, prompt_messages
from gentool.records import GENERATE_RESPONSE_TOOL, Sample, Task, Tool
from gentool.training.plan import EpochSamples, Item, epoch_items, stages_of

TaskChoice = Literal["rank", "select", "joint", "all"]


def chosen_stages(config: Config, arm: Arm, task: TaskChoice) -> dict[StageName, dict[Task, float]]:
    """Stage -> its tasks, each with its share of the samples.

    ``all``: the stages that the arm's training has; else one stage of that task alone. Raises :class:`ConfigError` for
    a task that the arm does not have.
    """
    if task == "all":
        return dict(stages_of(arm, config.train.schedule, config.train.replay))
    if arm != "gentool" and task != "select":
        raise ConfigError(
            f"--task {task}: the arm {arm} has select only. Fix: --task select, or --arm gentool."
        )
    if task == "joint" and config.prompt.fallback == "text":
        raise ConfigError(
            "--task joint: prompt.fallback: text leaves no call after a ranking. Fix: --fallback tool, or another task."
        )
    return {task: {task: 1.0}}


@dataclass(frozen=True)
class Stage:
    """The examples of one file, in order; ``count`` of them."""

    name: str
    count: int
    examples: Iterator[Example]


def sample_stages(
    config: Config,
    samples: JsonlFile[Sample],
    tools: Mapping[str, Tool],
    arm: Arm,
    task: TaskChoice,
    epochs: int,
) -> Iterator[Stage]:
    """The stages of an arm, each with ``epochs`` rounds through its samples, in the order that training shuffles them.

    The orders of tools are new in each epoch, from stage to stage too: those of training with as many epochs.
    """
    known = {**tools, GENERATE_RESPONSE_TOOL.id: GENERATE_RESPONSE_TOOL}
    own = EpochSamples(
        (samples[i] for i in range(len(samples))), arm, config.train.max_declined, config.seeds[0]
    )
    begin = 0
    for name, tasks in chosen_stages(config, arm, task).items():
        count = epochs * sum(round(share * len(own)) for share in tasks.values())
        items = _items(own, tasks, range(begin, begin + epochs), config.seeds[0], name)
        yield Stage(name, count, (_example(config, samples[i.sample], known, i) for i in items))
        begin += epochs


def _items(
    own: EpochSamples, tasks: dict[Task, float], epochs: range, seed: int, name: StageName
) -> Iterator[Item]:
    for epoch in epochs:
        yield from epoch_items(own.of(epoch, name), tasks, epoch, seed, name, (), None)


def _example(config: Config, sample: Sample, tools: Mapping[str, Tool], item: Item) -> Example:
    options, task = config.prompt, cast(Task, item.task)
    own = sample.id if config.train.tool_order == "sample" else ""
    shown = [tools[i] for i in shown_order(sample.tool_set, config.seeds[0], item.epoch, own)]
    fallback = options.fallback_text if options.fallback == "text" else None
    prompt, listed = prompt_messages(
        sample.query, sample.now, shown, task, options.tool_format, fallback is not None
    )
    answer = answer_message(task, sample.ranking, sample.tool_call, options.tool_format, fallback)
    return Example(prompt, answer, listed)
