"""Show what is trained: a sample's prompt dimmed, its target tokens in alternating colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from rich.panel import Panel
from rich.text import Text

from gentool.config import Config, ConfigError
from gentool.records import Sample, Task, Tool
from gentool.scenarios.targets import served
from gentool.training.dataset import SampleRenderer
from gentool.training.mixture import read_mixture
from gentool.training.plan import Item, ItemTask, stages_of
from gentool.training.prepare import make_renderer


def preview_samples(
    config: Config, base: str, samples: Sequence[Sample], tools: Mapping[str, Tool], number: int, task: str
) -> Iterator[Panel]:
    """``number`` samples, spread over the file, for a task or (``all``) each task that the schedule trains."""
    chats = read_mixture(config.data.mix, config.seed).turns
    if not config.train.max_declined:  # the others are never trained on
        samples = [s for s in samples if served(s)]
    source = SampleRenderer(
        samples,
        tools,
        make_renderer(config, base),
        config.seeds[0],
        config.train.max_length,
        chats,
        config.train,
    )
    if task == "chat":
        if not chats:
            raise ConfigError("--task: chat needs conversations of your own; found none. Fix: give data.mix.")
        yield from (_panel(source, i * len(chats) // number, "chat") for i in range(min(number, len(chats))))
        return
    trained: list[Task] = []
    for _, stage_tasks in stages_of("gentool", config.train.schedule):
        trained += [t for t in stage_tasks if t not in trained]
    if task != "all" and task not in trained:
        raise ConfigError(
            f"--task: the schedule {config.train.schedule} trains {', '.join(trained)}; found {task!r}"
        )
    for index in _spread(samples, number):
        for wanted in trained:
            if task in ("all", wanted):
                yield _panel(source, index, wanted)


def _spread(samples: Sequence[Sample], number: int) -> list[int]:
    """Samples of all kinds in turn, those with most useful tools first, from the middle of the file on."""
    half = len(samples) // 2
    kinds: dict[int, list[int]] = {}
    for i in [*range(half, len(samples)), *range(half)]:
        kinds.setdefault(len(samples[i].ranking), []).append(i)
    turns = zip_longest(*(kinds[n] for n in sorted(kinds, reverse=True)))
    return [i for turn in turns for i in turn if i is not None][:number]


def _panel(source: SampleRenderer, index: int, task: ItemTask) -> Panel:
    rendered = source.render(Item(index, task, 0))
    decode = source.renderer.tokenizer.decode
    text = Text(decode(rendered.ids[: rendered.start]), style="dim")
    # Token by token; bytes of one character may be spread over tokens, so text is what decoding adds.
    before = ""
    for n, end in enumerate(range(rendered.start + 1, len(rendered.ids) + 1)):
        now = decode(rendered.ids[rendered.start : end])
        text.append(now[len(before) :], style="black on green" if n % 2 else "black on bright_green")
        before = now
    target = len(rendered.ids) - rendered.start
    return Panel(
        text,
        title=f"{task}: {source.chats[index].where if task == 'chat' else f'sample {source.samples[index].id}'}",
        subtitle=f"{rendered.start} prompt tokens, {target} trained tokens (coloured)",
    )
