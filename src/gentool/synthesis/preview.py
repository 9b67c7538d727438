"""Complete examples of a synthesis before it is begun: ``gentool preview synth``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text

from gentool.config import ServerConfig
from gentool.llm.budget import Budget
from gentool.progress import Progress, Stopped
from gentool.synthesis.estimate import Prompt, prompts_of
from gentool.synthesis.plan import Plan
from gentool.synthesis.records import Item, Seed, Unit
from gentool.synthesis.synthesize import Work, open_teacher


def preview_prompts(plan: Plan, number: int) -> Iterator[RenderableType]:
    """The prompts of a few seeds, each kind once a seed; nothing is asked."""
    if not isinstance(plan.config.teacher, ServerConfig):
        yield Text("The rules teacher has no prompts; --ask shows what it makes.")
        return
    for seed in plan.some(number):
        yield Text(_title(seed), style="bold")
        shown: set[str] = set()
        for prompt in prompts_of(plan, seed):
            if prompt.name not in shown:
                shown.add(prompt.name)
                yield _prompt_panel(prompt)


def _title(seed: Seed) -> str:
    made = "a stronger version of" if seed.upgrade else "a weaker tool than"
    return f"{made} {seed.tool.name} ({seed.way})"


def _prompt_panel(prompt: Prompt) -> Panel:
    parts = [Text(f"[{m['role']}]\n{m['content']}\n") for m in prompt.messages]
    stand_in = " (with stand-ins for what the teacher has yet to make)" if prompt.made_up else ""
    tokens = f"about {prompt.prompt_tokens:,.0f} tokens"
    return Panel(Group(*parts), title=Text(f"{prompt.name}{stand_in}"), subtitle=tokens, title_align="left")


def preview_units(plan: Plan, number: int, cache: Path, progress: Progress) -> Sequence[Unit]:
    """Make the units of a few seeds, within the recipe's budget; the answers go into the run's cache.

    Raises what :func:`gentool.synthesis.synthesize.synthesize` raises.
    """
    made: list[Unit] = []
    budget = Budget(plan.config.max_cost, plan.config.max_requests)

    async def ask() -> None:
        work = Work(plan, lambda: progress.stopping, made.append)
        async with open_teacher(plan, cache, progress.say, work.stopping, budget) as teacher:
            await work.units(plan.some(number), teacher)

    asyncio.run(ask())
    if progress.stopping:
        raise Stopped
    return made


def unit_panels(unit: Unit) -> Iterator[RenderableType]:
    """What became of a seed, for a terminal."""
    yield Text(_title(unit.seed), style="bold")
    for tool in unit.tools or [unit.seed.tool]:
        text = json.dumps(tool.openai()["function"], indent=1, ensure_ascii=False)
        yield Panel(Syntax(text, "json", word_wrap=True, background_color="default"), title=Text(tool.name))
    if unit.derivation and unit.derivation.note:
        yield Text(f"note: {unit.derivation.note}")
    for finding in [*unit.findings, *unit.refused]:
        yield Text(f"{finding.check}: {finding.where}: {finding.reason}", style="red")
    for item in unit.items:
        yield _item_panel(item)


def _item_panel(item: Item) -> Panel:
    lines = [item.draft.query]
    if item.draft.now:
        lines.append(f"now: {item.draft.now}")
    lines.append(f"intended: {item.draft.intended}")
    lines += [f"judged: {j.best} {json.dumps(j.grades)} {j.reason}" for j in item.judgements]
    for name, call in item.calls.items():
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        grounds = json.dumps(item.grounds.get(name, {}), ensure_ascii=False)
        lines += [f"call: {name}({arguments})", f"  grounded in: {grounds}"]
    lines += [f"{f.check}: {f.reason}" for f in item.findings]
    style = {"accepted": "green", "disagreed": "yellow", "rejected": "red"}[item.status]
    return Panel(Text("\n".join(lines)), title=Text(item.status), title_align="left", border_style=style)
