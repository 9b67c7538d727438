"""What a synthesis will take: requests and tokens, from the prompts of a few seeds, and what they cost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table

from gentool.config import Prices, ServerConfig
from gentool.llm.prices import cost_of, find_prices
from gentool.records import Derivation, Tool
from gentool.synthesis.catalogue import renamed
from gentool.synthesis.llm_teacher import LLMTeacher, Messages
from gentool.synthesis.plan import Plan
from gentool.synthesis.records import QueryDraft, Seed
from gentool.synthesis.rules import RulesTeacher
from gentool.synthesis.teacher import Teacher, Unusable

SAMPLES = 5
"""Seeds whose prompts are rendered."""

CHARACTERS_A_TOKEN = 4.0
"""Of English and JSON, roughly."""

_QUERY = "Could you look that up for me, the one in Bergen on 14 March, and tell me what it costs?"
_ANSWER = {
    "weak_tool": 1500,
    "strong_tool": 1800,
    "seed_queries": 90,
    "queries": 260,
    "calls": 130,
    "judge": 180,
}
"""Characters of a usual answer; of those with several entries, of one."""


@dataclass(frozen=True)
class Prompt:
    """A request as it will be sent. ``made_up``: it shows tools or queries that stand in for those not yet made."""

    name: str
    messages: Messages
    entries: int
    made_up: bool = False

    @property
    def prompt_tokens(self) -> float:
        return sum(len(m["content"]) for m in self.messages) / CHARACTERS_A_TOKEN

    @property
    def completion_tokens(self) -> float:
        return _ANSWER[self.name] * self.entries / CHARACTERS_A_TOKEN


def prompts_of(plan: Plan, seed: Seed) -> list[Prompt]:
    """The requests that a seed will take. What the teacher has yet to make is made by rules, or made up."""
    return asyncio.run(_prompts_of(plan, seed))


async def _prompts_of(plan: Plan, seed: Seed) -> list[Prompt]:
    config = plan.config
    teacher = LLMTeacher(None, None, plan.prompts, config)
    rules = RulesTeacher(plan.seed)
    found = [Prompt(*teacher.derive_prompt(seed), entries=1)]
    if not seed.examples and config.seed_queries:
        entries = config.seed_queries
        found.append(Prompt(*teacher.seed_queries_prompt(seed.tool, entries), entries=entries))
    tools, derivation = await _stand_in(seed, rules)
    examples = seed.examples or (_QUERY,) * config.seed_queries
    asked = teacher.queries_prompt(tools, derivation, config.queries, examples)
    found.append(Prompt(*asked, entries=config.queries, made_up=True))
    drafts = await _drafts(tools, derivation, config.queries, rules)
    for i in range(0, len(drafts), config.batch_size):
        batch = drafts[i : i + config.batch_size]
        for shown in (tools, tools[::-1]):
            found.append(Prompt(*teacher.judge_prompt(shown, batch), entries=len(batch), made_up=True))
        for one in tools:
            found.append(Prompt(*teacher.calls_prompt(one, batch), entries=len(batch), made_up=True))
    return found


async def _stand_in(seed: Seed, rules: Teacher) -> tuple[tuple[Tool, Tool], Derivation]:
    """A pair as the teacher may make it of a seed. Where rules make none, a copy is at least of the right size."""
    try:
        tool, note = (await rules.derive(seed)).value
    except Unusable:
        tool, note = renamed(seed.tool, f"{seed.tool.name[:58]}_other"), ""
    weaker, richer = (seed.tool, tool) if seed.upgrade else (tool, seed.tool)
    return (seed.tool, tool), Derivation(tool=weaker.name, from_tool=richer.name, how=seed.way, note=note)


async def _drafts(
    tools: tuple[Tool, Tool], derivation: Derivation, number: int, rules: Teacher
) -> list[QueryDraft]:
    try:
        drafts = (await rules.queries(tools, derivation, number, ())).value
    except Unusable:
        drafts = []
    return [*drafts, *[QueryDraft(query=_QUERY, intended=tools[0].name)] * number][:number]


@dataclass(frozen=True)
class Estimate:
    """For all seeds that are left. ``dollars`` is ``None`` where a price is unknown."""

    seeds: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None


def estimate(plan: Plan) -> Estimate:
    """What is left to do, at most: answers in the cache cost nothing, and rejected tools no further requests."""
    left = sum(1 for _ in plan.left())
    asked = isinstance(plan.config.teacher, ServerConfig)
    samples = [prompts_of(plan, seed) for seed in plan.some(SAMPLES)] if left and asked else []
    prompts = [prompt for sample in samples for prompt in sample]
    if not prompts:
        return Estimate(left, 0, 0, 0, 0.0)
    times = left / len(samples)
    dollars = [_dollars(plan, prompt) for prompt in prompts]
    return Estimate(
        seeds=left,
        requests=round(times * len(prompts)),
        prompt_tokens=round(times * sum(p.prompt_tokens for p in prompts)),
        completion_tokens=round(times * sum(p.completion_tokens for p in prompts)),
        dollars=None if None in dollars else times * sum(d for d in dollars if d is not None),
    )


def _dollars(plan: Plan, prompt: Prompt) -> float | None:
    config = plan.config
    server = (config.judge if prompt.name == "judge" else None) or config.teacher
    prices = (
        find_prices(server, config.prices) if isinstance(server, ServerConfig) else Prices(input=0, output=0)
    )
    return None if prices is None else cost_of(prices, prompt.prompt_tokens, prompt.completion_tokens)


def estimate_table(made: Estimate, plan: Plan) -> Table:
    """For a terminal."""
    rows = [("pairs to make", f"{made.seeds:,}"), ("requests", f"{made.requests:,}")]
    rows.append(("prompt tokens, about", f"{made.prompt_tokens:,}"))
    rows.append(("completion tokens, about", f"{made.completion_tokens:,}"))
    if isinstance(plan.config.teacher, ServerConfig):
        unknown = "unknown; give synthesis.prices"
        rows.append(("cost, about", unknown if made.dollars is None else f"${made.dollars:,.2f}"))
    table = Table("synthesis, at most", "", box=SIMPLE_HEAD)
    table.columns[1].justify = "right"
    for label, value in rows:
        table.add_row(label, value)
    return table
