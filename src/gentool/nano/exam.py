"""nano's exam: tools made of words that training never showed, and the open dataset's unseen tools.

``python -m gentool.nano.exam FOLDER`` (``make exam-nano`` for gentool-nano) prints one JSON object at the end.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from gentool import data
from gentool.evaluation.match import match_call
from gentool.evaluation.metrics import ndcg
from gentool.inference.transformers import TransformersBackend
from gentool.models import load_tokenizer
from gentool.nano.lexicon import lexicon
from gentool.nano.real import open_pairs, open_world
from gentool.nano.worlds import Ask, Level, World, draw_world
from gentool.prompting.order import seeded
from gentool.prompting.parse import Parsed
from gentool.prompting.renderer import Renderer
from gentool.records import GENERATE_RESPONSE, GradedQuery, Task

SEED = "nano exam 1"
K = (3, 5, 10)
MAIN = 5
LISTS = 40
ASKS = 5
FLOORS = {"unseen_tool_selection": 0.6, "valid_calls": 0.9, "argument_values": 0.6}
MAX_NEW_TOKENS = 160


def exam_level(k: int) -> Level:
    """Real words only, near tools, versions, and requests that no tool serves."""
    return Level(k, (2, 2, 1), 0.0, 0.4, 4, variants=0.2, unserved=0.15)


def exam_worlds(k: int, lists: int = LISTS, known: bool = False) -> list[World]:
    """Worlds of held-out words, or new ones of the words of training (``known``); the same every time."""
    words = lexicon(exam=not known)
    seed = f"{SEED}, known words" if known else SEED
    return [draw_world(seeded(seed, k, n), words, exam_level(k), ASKS) for n in range(lists)]


def open_worlds(groups: Sequence[str] = ("A", "B", "U"), lists: int = LISTS) -> list[World]:
    """Lists of five unseen tools of the open dataset, both tools of a pair among them."""
    pairs = open_pairs(groups)
    if not pairs:
        return []
    return [open_world(seeded(SEED, "open", n), pairs, MAIN, ASKS) for n in range(lists)]


def answers(model: TransformersBackend, worlds: Sequence[World], task: Task) -> list[list[Parsed]]:
    """The model's answers, by world and request."""
    places = [(w, a) for w, world in enumerate(worlds) for a in range(len(world.asks))]
    prompts = []
    for w, a in places:
        ask = worlds[w].asks[a]
        prompts.append(model.renderer.prompt(ask.query, ask.now, worlds[w].tools, task))
    found: list[list[Parsed]] = [[Parsed("malformed")] * len(world.asks) for world in worlds]
    for batch in model.complete(prompts, MAX_NEW_TOKENS):
        for index, completion in batch:
            w, a = places[index]
            names = [tool.name for tool in worlds[w].tools]
            found[w][a] = model.renderer.parse(task, completion.text, names, completion.finished)
    return found


def _valid(parsed: Parsed, world: World) -> bool:
    if parsed.tool_call is None:
        return False
    tool = next(t for t in world.tools if t.name == parsed.tool_call.name)
    return bool(Draft202012Validator(tool.parameters).is_valid(parsed.tool_call.arguments))


def _values(parsed: Parsed, ask: Ask, world: World) -> float:
    """The share of right arguments of a call of the right tool."""
    assert parsed.tool_call is not None
    tool = next(t for t in world.tools if t.name == ask.call.name)
    query = GradedQuery(
        query=ask.query, now=ask.now, grades={tool.name: "full"}, best=tool.name, tool_calls=(ask.call,)
    )
    return match_call(parsed.tool_call, query, tool).values


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def mark_calls(worlds: Sequence[World], found: Sequence[Sequence[Parsed]]) -> dict[str, Any]:
    """Shares: right tool, valid calls among all answers, right arguments among calls of the right tool."""
    selection: list[float] = []
    valid: list[float] = []
    values: list[float] = []
    by_overlap: dict[str, list[float]] = {}
    for world, parsed_of in zip(worlds, found, strict=True):
        for ask, parsed in zip(world.asks, parsed_of, strict=True):
            choice = parsed.tool_call.name if parsed.tool_call else None
            if parsed.outcome == "answer":
                choice = GENERATE_RESPONSE
            right = choice == ask.call.name
            selection.append(right)
            by_overlap.setdefault(ask.overlap, []).append(right)
            valid.append(_valid(parsed, world))
            if right and ask.call.name != GENERATE_RESPONSE and ask.call.arguments:
                values.append(_values(parsed, ask, world))
    return {
        "selection": _mean(selection),
        "served_selection": _mean([x for name, part in by_overlap.items() if name != "none" for x in part]),
        "valid_calls": _mean(valid),
        "argument_values": _mean(values),
        "by_overlap": {name: _mean(part) for name, part in sorted(by_overlap.items())},
        "chance": _mean([1 / len(world.tools) for world in worlds for _ in world.asks]),
        "most_common": _most_common(worlds),
        "n": len(selection),
    }


def _most_common(worlds: Sequence[World]) -> float | None:
    """What always the same answer would get: ``generate_response``."""
    gold = Counter(a.call.name == GENERATE_RESPONSE for w in worlds for a in w.asks)
    return round(gold[True] / max(1, sum(gold.values())), 4)


def mark_rankings(worlds: Sequence[World], found: Sequence[Sequence[Parsed]]) -> float | None:
    """Mean NDCG where a tool is useful: gain 3 for the best, 2 for other useful ones, 1 for ``generate_response``."""
    marks = []
    for world, parsed_of in zip(worlds, found, strict=True):
        for ask, parsed in zip(world.asks, parsed_of, strict=True):
            if len(ask.ranking) > 1:
                gain = dict.fromkeys(ask.ranking[1:-1], 2.0) | {ask.ranking[0]: 3.0, GENERATE_RESPONSE: 1.0}
                marks.append(ndcg(parsed.ranking or (), gain))
    return _mean(marks)


def exam(folder: str, lists: int = LISTS) -> dict[str, Any]:
    """All marks of the model in a folder."""
    renderer = Renderer(load_tokenizer(folder))
    model = TransformersBackend(folder, renderer, dtype="float32")
    marks: dict[str, Any] = {}
    for k in K:
        worlds = exam_worlds(k, lists)
        marks[f"k={k}"] = mark_calls(worlds, answers(model, worlds, "select"))
        if k == MAIN:
            marks[f"k={k}"]["ranking_ndcg"] = mark_rankings(worlds, answers(model, worlds, "rank"))
    worlds = exam_worlds(MAIN, lists, known=True)
    marks[f"k={MAIN}, known words"] = mark_calls(worlds, answers(model, worlds, "select"))
    unseen = open_worlds(lists=lists)
    marks["open_dataset"] = mark_calls(unseen, answers(model, unseen, "select")) if unseen else None
    main = marks[f"k={MAIN}"]
    return {
        "parameters": sum(p.numel() for p in model.model.parameters()),
        "megabytes": round(sum(f.stat().st_size for f in Path(folder).glob("*.safetensors")) / 1e6, 1),
        "unseen_tool_selection": main["selection"],
        "valid_calls": main["valid_calls"],
        "argument_values": main["argument_values"],
        **marks,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m gentool.nano.exam", description=__doc__)
    parser.add_argument(
        "folder",
        nargs="?",
        default="gentool-nano",
        help="folder with the model, or gentool-nano",
    )
    parser.add_argument("--lists", type=int, default=LISTS, help="lists of tools for each k")
    given = parser.parse_args(arguments)
    folder = data.model_path(given.folder)
    if not Path(folder).is_dir():
        parser.error(f"{given.folder}: no such folder. Fix: train a model first, with python -m gentool.nano")
    marks = exam(folder, given.lists)
    below = [name for name, floor in FLOORS.items() if (marks[name] or 0) < floor]
    if below:
        print(f"below the floor: {', '.join(below)}")
    print(json.dumps(marks))


if __name__ == "__main__":
    main()
