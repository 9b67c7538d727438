"""Seeds -> units, many under way at once, each on the disk as soon as it is done."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gentool import __version__
from gentool.config import Config, ConfigError, ServerConfig, SynthesisConfig
from gentool.jsonl import GenToolError, read_json_object, write_jsonl
from gentool.lineage import Lineage, files_hash
from gentool.llm.budget import Budget, BudgetSpent
from gentool.llm.client import Client
from gentool.llm.prices import find_prices
from gentool.llm.session import CallFailed, LLMError, Stopping
from gentool.progress import Progress, Stopped
from gentool.synthesis.assemble import assemble
from gentool.synthesis.plan import Plan, make_plan
from gentool.synthesis.records import Seed, Unit
from gentool.synthesis.shards import note_shard
from gentool.synthesis.teacher import Teacher
from gentool.synthesis.unit import make_unit


def _at_once(config: SynthesisConfig) -> int:
    """Seeds under way at once: of few requests some seeds are to be finished, and not many begun."""
    requests = 3 + 4 * math.ceil(config.queries / config.batch_size)  # of a seed, at most
    return min(config.at_once, max(1, (config.max_requests or sys.maxsize) // requests))


@asynccontextmanager
async def open_teacher(
    plan: Plan, cache: Path, say: Callable[[str], None], stopping: Callable[[], bool], budget: Budget
) -> AsyncIterator[Teacher]:
    """The teacher of a run, with the server sessions it needs. Raises :class:`LLMError` if a key is missing."""
    config = plan.config
    if not isinstance(config.teacher, ServerConfig):
        from gentool.synthesis.rules import RulesTeacher

        yield RulesTeacher(plan.seed)
        return
    from gentool.synthesis.llm_teacher import LLMTeacher

    async with AsyncExitStack() as stack:
        sessions = []
        clients = []
        for name, server in (("teacher", config.teacher), ("judge", config.judge)):
            if server is not None:
                prices = find_prices(server, config.prices)
                clients.append(Client(name, server, cache, say))
                session = clients[-1].session(stopping, budget, prices)
                sessions.append(await stack.enter_async_context(session))
        try:
            yield LLMTeacher(sessions[0], sessions[-1], plan.prompts, config)
        finally:
            for client in clients:
                say(f"{client.name}: {client.usage}")


class Work:
    """Makes the units of seeds. The first failure stops all: what is under way is finished and kept."""

    def __init__(self, plan: Plan, stopping: Callable[[], bool], done: Callable[[Unit], None]) -> None:
        self._plan = plan
        self._asked_to_stop = stopping
        self._done = done
        self._failure: Exception | None = None
        self._lost: list[CallFailed] = []

    def stopping(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._failure is not None or self._asked_to_stop()

    async def units(self, seeds: Iterable[Seed], teacher: Teacher) -> None:
        """Make the units of all seeds, at most ``synthesis.at_once`` at a time. Raises the first failure."""
        left = iter(seeds)
        await asyncio.gather(*(self._worker(left, teacher) for _ in range(_at_once(self._plan.config))))
        if self._failure is not None:
            raise self._failure
        if self._lost:
            raise LLMError(f"{len(self._lost):,} seeds are left, since requests failed: {self._lost[-1]}")

    async def _worker(self, seeds: Iterator[Seed], teacher: Teacher) -> None:
        plan = self._plan
        for seed in seeds:
            if self.stopping():
                return
            try:
                self._done(await make_unit(seed, teacher, plan.config, plan.taken, plan.settings))
            except Stopping:
                return
            except CallFailed as error:
                self._lost.append(error)
            except Exception as error:
                self._failure = self._failure or error
                return
            await asyncio.sleep(0)  # a teacher that never waits would keep the others from their turn


def synthesize(
    config: Config,
    folder: Path,
    progress: Progress,
    lineage: Lineage,
    plan: Plan | None = None,
    ask: bool = True,
) -> dict[str, Any]:
    """Make the units that are missing, then ``pairs.jsonl``, ``rejected.jsonl`` and the funnel, which is returned.

    ``plan``: if it was made before; that of a shard, for instance. Without ``ask`` no server is asked: what is there
    is put together.

    Raises :class:`ConfigError` if nothing is there and nobody may be asked; :class:`Stopped` when asked to stop;
    :class:`LLMError` or :class:`BudgetSpent` where the server or the budget end the work, after what is there was put
    together.
    """
    started = datetime.now(UTC)
    plan = plan.refreshed(folder) if plan else make_plan(config, folder)
    left = sum(1 for _ in plan.left())
    held_back = left > 0 and not ask and isinstance(plan.config.teacher, ServerConfig)
    if held_back and not len(plan.units):
        raise ConfigError(
            f"recipe {config.name}: expected pairs made with its `synthesis`; found none, and only `gentool "
            "synthesize` and `gentool run` ask a teacher for them. Fix: gentool synthesize RECIPE"
        )
    note_shard(folder, plan, config)
    write_jsonl(folder / "catalog.jsonl", plan.tools)
    if plan.units.damaged:
        progress.say(f"{plan.units.path}: {plan.units.damaged:,} lines are damaged and left out")
    failure: GenToolError | None = None
    if held_back:
        progress.say(
            f"synthesis: {left:,} seeds are left; `gentool synthesize RECIPE` asks the teacher for them"
        )
    elif left:
        try:
            _make_units(plan, folder, left, progress)
        except (LLMError, BudgetSpent) as error:
            failure = error
    if progress.stopping:
        raise Stopped
    funnel = put_together(config, folder, plan, lineage, started)
    if failure is not None:
        progress.say(f"synthesis: {left - funnel['seeds_left']:,} seeds done, {funnel['seeds_left']:,} left")
        raise failure
    return funnel


def put_together(
    config: Config, folder: Path, plan: Plan, lineage: Lineage, started: datetime
) -> dict[str, Any]:
    """Make ``pairs.jsonl`` and its companions from the units, unless they are as they would be; gives the funnel."""
    names = ["pairs.jsonl", "rejected.jsonl", "synthesis/funnel.json"]
    outputs = [folder / name for name in names]
    sources = [plan.units.path, folder / "reviews.jsonl", folder / "catalog.jsonl"]
    sources += [Path(plan.config.use_cases)] if plan.config.use_cases else []
    inputs = [
        files_hash(sources),
        plan.settings,
        plan.config.model_dump(mode="json"),
        str(plan.seeds.shard),
        config.seed,
        __version__,
    ]
    if not lineage.done("synthesize", inputs, outputs):
        lineage.begin("synthesize")
        assemble(folder, plan.seeds, plan.refreshed(folder).units, plan.tools, plan.config.require_review)
        lineage.record("synthesize", inputs, outputs, config.seed, started)
    return read_json_object(folder / "synthesis" / "funnel.json")


def _make_units(plan: Plan, folder: Path, left: int, progress: Progress) -> None:
    config = plan.config
    budget = Budget(config.max_cost, config.max_requests)
    bar = progress.start("synthesis", left)
    done = 0

    def keep(unit: Unit) -> None:
        nonlocal done
        plan.units.append(unit)
        done += 1
        progress.describe(bar, f"synthesis{_spent(budget, done, left)}")
        progress.update(bar, done)

    async def work() -> None:
        making = Work(plan, lambda: progress.stopping, keep)
        cache = folder / "cache" / "teacher.sqlite"
        async with open_teacher(plan, cache, progress.say, making.stopping, budget) as teacher:
            await making.units(plan.left(), teacher)

    plan.units.cut()
    try:
        asyncio.run(work())
    finally:
        if budget.cost:
            progress.say(f"synthesis: ${budget.cost:,.4f} spent")


def _spent(budget: Budget, done: int, total: int) -> str:
    """Requests and cost, so far and, from these, in all."""
    if not budget.requests:
        return ""
    cost = f", ${budget.cost:,.2f} of about ${budget.cost / done * total:,.2f}" if budget.cost else ""
    return f" ({budget.requests:,} of about {budget.requests / done * total:,.0f} requests{cost})"
