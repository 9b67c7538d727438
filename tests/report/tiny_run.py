"""A small run folder, written by hand: no training, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from gentool.evaluation.metrics import Answers, probe_metrics
from gentool.evaluation.scores import make_scores
from gentool.jsonl import write_jsonl
from gentool.records import (
    GENERATE_RESPONSE,
    SCENARIOS,
    TRANSITIONS,
    Derivation,
    Function,
    GradedQuery,
    Prediction,
    Probe,
    Tool,
    ToolCall,
    ToolPair,
    ToolSet,
)

HOSTILE = "</script><img src=x onerror=alert(1)><!-- & \u2028 <b>bold</b>"
MODELS = ("base", "sft", "gentool")
SEEDS = [0, 1]


def make_tool(name: str, description: str = "Does a thing.") -> Tool:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Where"}, "days": {"type": "integer"}},
        "required": ["city"],
    }
    return Tool(function=Function(name=name, description=description, parameters=parameters))


WEAK = make_tool("weather_today", "Weather of today.")
STRONG = make_tool("weather_forecast", f"Weather of some days. {HOSTILE}")
# Names that a careless script would look up on every object.
OTHERS = [
    make_tool(n) for n in ("constructor", "__proto__", "book_table", "send_mail", "find_file", "toString")
]
TOOLS = {t.id: t for t in (WEAK, STRONG, *OTHERS)}


def make_query(text: str) -> GradedQuery:
    return GradedQuery(
        query=text,
        now="2026-03-09T14:50",
        grades={STRONG.name: "full", WEAK.name: "partial"},
        best=STRONG.name,
        reason=f"It looks ahead. {HOSTILE}",
        tool_calls=(
            ToolCall.of(STRONG.name, {"city": "Oslo", "days": 3}),
            ToolCall.of(WEAK.name, {"city": "Oslo"}),
        ),
        alternatives={STRONG.name: {"days": [4]}},
    )


def make_probes(pairs: int = 2) -> list[Probe]:
    def tool_set(pair: str, *tools: Tool, decoy: bool = False) -> ToolSet:
        rest = [*OTHERS[: 4 - len(tools)], OTHERS[5 if decoy else 4]]
        return ToolSet(
            pair=pair, pair_tools=tuple(t.id for t in tools), distractors=tuple(t.id for t in rest)
        )

    found = []
    for scenario in SCENARIOS:
        for number in range(pairs):
            pair = f"{scenario}-{number}"
            query = make_query(f"Will it rain in Oslo, {scenario} {number}? {HOSTILE if number % 2 else ''}")
            zero, one, both = tool_set(pair), tool_set(pair, WEAK), tool_set(pair, WEAK, STRONG)
            decoy = tool_set(pair, decoy=True)
            for transition, before, after in zip(
                TRANSITIONS, (zero, zero, one), (decoy, one, both), strict=True
            ):
                if (scenario, transition) == ("seen_query_unseen_tool", "weak_to_strong"):
                    continue  # an empty cell
                found.append(
                    Probe(
                        scenario=scenario,
                        transition=transition,
                        pair=pair,
                        query=query,
                        before=before,
                        after=after,
                        stay=transition == "zero",
                    )
                )
    return found


def make_answers(model: str, seed: int, probes: Iterable[Probe], joint: bool) -> list[Prediction]:
    """``gentool`` chooses right, with seed 0 and even pairs also the arguments; ``sft`` calls the plainer tool
    with odd pairs, a distractor without, and else answers without a tool; ``base`` writes hostile text."""
    found: dict[tuple[str, str, str], Prediction] = {}
    for probe in probes:
        for tool_set in (probe.before, probe.after):
            names = [TOOLS[i].name for i in tool_set.pair_tools]
            useful = probe.query.useful(names)
            shown = [TOOLS[i].name for i in tool_set.tools] + [GENERATE_RESPONSE]
            common = {
                "model": model,
                "seed": seed,
                "query_id": probe.query.id,
                "tool_set": tool_set.id,
                "shown": tuple(shown),
                "prompt_tokens": 10,
                "completion_tokens": 5,
            }
            ranking = (*useful, GENERATE_RESPONSE)
            odd = int(probe.pair.rsplit("-", 1)[1]) % 2
            if model == "base":
                kind: dict[str, Any] = {
                    "outcome": "malformed",
                    "error": f"not JSON: {HOSTILE}",
                    "text": HOSTILE,
                }
            elif model == "sft" and odd:
                name = WEAK.name if WEAK.name in names else "__proto__"
                call = ToolCall.of(name, {"city": "Oslo", "constructor": "\u2028"})
                kind = {"outcome": "call", "text": f"<tool_call>{HOSTILE}", "tool_call": call}
            elif model == "sft" or not useful:
                kind = {"outcome": "answer", "text": f"It may rain. {HOSTILE}"}
            elif not (odd or seed):
                kind = {"outcome": "call", "text": "<tool_call>", "tool_call": probe.query.call_of(useful[0])}
                if joint:
                    kind["ranking"] = ranking
            else:
                arguments = {
                    "city": HOSTILE if seed else "Oslo",
                    "size": float("nan"),
                    "big": 12345678901234567890,
                }
                call = ToolCall.of(useful[0], arguments)
                kind = {"outcome": "call", "text": f"<tool_call>{HOSTILE}", "tool_call": call}
                if joint:
                    kind["ranking"] = ranking
            call_task = "joint" if joint else "select"
            prediction = Prediction(**common, task=call_task, **kind)
            found.setdefault(prediction.key, prediction)
            if not joint and probe.transition != "zero":
                ranked = Prediction(
                    **common, task="rank", outcome="ranking", ranking=ranking, text=" > ".join(ranking)
                )
                found.setdefault(ranked.key, ranked)
    return list(found.values())


def make_run(folder: Path, joint: bool = False, pairs: int = 2) -> Path:
    """A run with ``pairs`` pairs in each scenario."""
    probes = make_probes(pairs)
    derivation = Derivation(tool=WEAK.name, from_tool=STRONG.name, how="smaller_coverage")
    pair = ToolPair(domain="weather", group="T", tools=(STRONG, WEAK), derivation=derivation)
    write_jsonl(folder / "scenarios" / "pairs.jsonl", [pair])
    write_jsonl(folder / "scenarios" / "tools.jsonl", TOOLS.values())
    for scenario in SCENARIOS:
        write_jsonl(folder / "scenarios" / f"{scenario}.jsonl", [p for p in probes if p.scenario == scenario])
    summary = {
        "embedding": "tfidf",
        "k": 5,
        "groups": {"T": 2, "A": 2, "B": 2, "U": 2},
        "tools": 8,
        "rows": [],
    }
    (folder / "scenarios" / "summary.json").write_text(json.dumps(summary))
    results: dict[str, dict[int, Any]] = {}
    for model in MODELS:
        results[model] = {}
        written: list[Prediction] = []
        for seed in SEEDS[:1] if model == "base" else SEEDS:
            answers = make_answers(model, seed, probes, joint and model == "gentool")
            written += answers
            by_key = Answers({a.key: a for a in answers})
            results[model][seed] = [probe_metrics(p, by_key, TOOLS) for p in probes]
        for scenario in SCENARIOS:
            queries = {p.query.id for p in probes if p.scenario == scenario}
            path = folder / "predictions" / model / f"{scenario}.jsonl"
            write_jsonl(path, [a for a in written if a.query_id in queries])
    (folder / "scores.json").write_text(json.dumps(make_scores(results, probes, SEEDS, resamples=50)))
    config = {
        "name": "tiny-run",
        "seeds": SEEDS,
        "scenarios": {"k": 5},
        "model": {"path": None, "random_init": {"architecture": "qwen3", "hidden_size": 64, "layers": 2}},
        "train": {"arms": ["sft", "gentool"], "schedule": "one_output" if joint else "two_pass"},
        "evaluate": {"models": list(MODELS), "confidence": 0.95},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    step = {
        "started": "2026-11-20T10:00:00+00:00",
        "finished": "2026-11-20T10:01:40+00:00",
        "python": "3.11.7",
    }
    host = {"system": "Linux", "machine": "x86_64", "cpus": 2}
    lineage = {"evaluate": {**step, "versions": {"transformers": "5.0"}, "host": host}}
    (folder / "lineage.json").write_text(json.dumps(lineage))
    stages = {"sft": ["select"], "gentool": ["joint"] if joint else ["rank", "select"]}
    for arm, names in stages.items():
        for seed in SEEDS:
            for name in names:
                stage = folder / "stages" / arm / f"seed-{seed}" / name
                stage.mkdir(parents=True)
                log = [{"step": s, "loss": 2 / s} for s in (1, 2, 4)] + [{"train_runtime": 1.0}]
                (stage / "log.jsonl").write_text("".join(json.dumps(x) + "\n" for x in log))
                manifest = {"identity": {"steps": 4, "tokens": 12345}, "metrics": {"last_loss": 0.5}}
                (stage / "stage.json").write_text(json.dumps(manifest))
    return folder
