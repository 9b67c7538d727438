"""Which prompts a model is asked: each (task, query, tool set) of the probes once, within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gentool.prompting.order import seeded
from gentool.records import SCENARIOS, GradedQuery, Probe, Task, ToolSet


@dataclass(frozen=True)
class Request:
    """One prompt."""

    task: Task
    query: GradedQuery
    tool_set: ToolSet

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.task, self.query.id, self.tool_set.id)


def query_requests(probes: Iterable[Probe], rank: bool, joint: bool) -> list[Request]:
    """The prompts that the probes of one query need; a ranking only where a tool is useful.

    ``joint``: the model writes ranking and call in one output.
    """
    found: dict[tuple[str, str, str], Request] = {}
    for probe in probes:
        for tool_set in (probe.before, probe.after):
            request = Request("joint" if joint else "select", probe.query, tool_set)
            found.setdefault(request.key, request)
        if rank and not joint and probe.transition != "zero":
            request = Request("rank", probe.query, probe.after)
            found.setdefault(request.key, request)
    return list(found.values())


def choose_probes(probes: Sequence[Probe], rank: bool, max_prompts: int | None, seed: int) -> list[Probe]:
    """The probes that fit a budget of prompts a model: whole queries, from scenarios and pairs in turn.

    The choice does not depend on the model, so that all models are asked the same queries.
    """
    if max_prompts is None:
        return list(probes)
    by_query: dict[tuple[str, str, str], list[Probe]] = {}
    for probe in probes:
        by_query.setdefault((probe.scenario, probe.pair, probe.query.id), []).append(probe)
    turns: dict[tuple[str, str], int] = {}
    ordered: list[tuple[int, float, tuple[str, str, str]]] = []
    for key in sorted(by_query, key=lambda k: seeded("budget", seed, *k).random()):
        turn = turns[key[:2]] = turns.get(key[:2], -1) + 1
        ordered.append((turn, seeded("budget pair", seed, key[1]).random(), key))
    queues = {s: [k for _, _, k in sorted(ordered) if k[0] == s] for s in SCENARIOS}
    chosen: set[tuple[str, str, str]] = set()
    spent = 0
    while any(queues.values()):
        for queue in queues.values():
            if not queue:
                continue
            key = queue.pop(0)
            cost = len(query_requests(by_query[key], rank, joint=False))
            if spent + cost <= max_prompts:
                chosen.add(key)
                spent += cost
            else:
                queue.clear()
    return [p for p in probes if (p.scenario, p.pair, p.query.id) in chosen]
