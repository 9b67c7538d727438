"""A teacher that does its work well, in this process or behind a server, and whose faults are planted by tests."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gentool.llm.provenance import Provenance
from gentool.records import Derivation, Grade, Tool
from gentool.synthesis.records import CallDraft, Judgement, QueryDraft, Seed
from gentool.synthesis.teacher import Made
from tests.llm.fake_server import Answer, completion

NOUNS = [
    "hotels",
    "museums",
    "bakeries",
    "swimming pools",
    "campsites",
    "bike rentals",
    "theatres",
    "markets",
]
CITIES = [
    "Bergen",
    "Lyon",
    "Porto",
    "Graz",
    "Ghent",
    "Turku",
    "Malaga",
    "Tartu",
    "Cork",
    "Basel",
    "Aarhus",
    "Verona",
    "Delft",
    "Split",
    "Kaunas",
    "Brno",
]

RICHER = [
    "Find {noun} in {city} under {number} euros",
    "My aunt visits {city} soon, which {noun} there stay under {number} euros?",
    "{noun} under {number} euros please, somewhere in {city}",
    "We are four people on a budget: anything under {number} euros for {noun} in {city}?",
]
PLAINER = [
    "What {noun} are there in {city}?",
    "Just list the {noun} of the town, in {city} I mean",
    "Name me some {noun} in {city}",
    "I have never been there: does it have {noun}, in {city}?",
]


def tool(i: int, **changes: Any) -> Tool:
    """The ``i``-th tool of a catalogue."""
    noun = NOUNS[i % len(NOUNS)] + (f" {i // len(NOUNS)}" if i >= len(NOUNS) else "")
    function = {
        "name": f"search_{noun.replace(' ', '_')}",
        "description": f"Searches {noun} in a city with a limit on the price, and returns name, address, price and "
        "opening hours of each, the cheapest first.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where to search"},
                "max_price": {"type": "number", "description": "Highest price in euros"},
            },
            "required": ["city"],
        },
    }
    return Tool.model_validate({"function": function | changes, "domain": "travel"})


def derived(function: dict[str, Any], upgrade: bool = False) -> dict[str, Any]:
    """A weaker tool than ``function``, or a stronger one."""
    noun = function["name"].removeprefix("search_").replace("_", " ")
    properties = function["parameters"]["properties"]
    if upgrade:
        added = {"min_rating": {"type": "number", "description": "Lowest rating, 1 to 5"}}
        return {
            "name": f"explore_{noun.replace(' ', '_')}",
            "description": function["description"]
            + " Ratings and photographs of visitors come with each of them.",
            "parameters": {**function["parameters"], "properties": properties | added},
            "note": "it knows no ratings",
        }
    return {
        "name": f"{noun.replace(' ', '_')}_of_city",
        "description": f"Names of {noun} in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "City"}},
            "required": ["city"],
        },
        "note": "it cannot limit the price",
    }


def queries(names: Sequence[str], richer: str, weaker: str, number: int) -> list[dict[str, Any]]:
    """Queries of a pair, half for each tool."""
    noun = names[0].removeprefix("search_").replace("_", " ")
    start = sum(map(ord, names[0]))
    found = []
    for i in range(number):
        templates, better = (RICHER, richer) if i % 2 == 0 else (PLAINER, weaker)
        text = templates[i // 2 % len(templates)]
        city = CITIES[(start + i) % len(CITIES)]
        found.append(
            {
                "query": text.format(noun=noun, city=city, number=20 + start % 50 + i),
                "now": None,
                "better": better,
                "reason": "because",
            }
        )
    return found


def call(function: dict[str, Any], query: str) -> dict[str, Any]:
    """The arguments of one tool for a query."""
    properties = function["parameters"]["properties"]
    arguments: dict[str, Any] = {"city": re.findall(r"\b(?:in|visits) ([A-Z]\w+)", query)[-1]}
    if (price := re.search(r"under (\d+)", query)) and "max_price" in properties:
        arguments["max_price"] = int(price[1])
    return {"arguments": arguments, "derived": {}, "missing": []}


def grades(shown: Sequence[dict[str, Any]], query: str) -> tuple[list[Grade], int]:
    """Grades of both tools, and which is the best."""
    size = [len(f["parameters"]["properties"]) for f in shown]
    richer = size.index(max(size))
    made: list[Grade] = ["full", "full"]
    if "under" in query:
        made[1 - richer] = "partial"
    return made, richer if "under" in query else 1 - richer


def blocks(text: str, tag: str) -> list[Any]:
    """The JSON between the tags of a prompt."""
    return [json.loads(found) for found in re.findall(rf"<{tag}>\n(.*?)\n</{tag}>", text, flags=re.S)]


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """What a good teacher answers to a request of the package's prompts."""
    form = body["response_format"]["json_schema"]["name"]
    text = next(m["content"] for m in body["messages"] if m["role"] == "user")
    tools = blocks(text, "tool")
    if form == "ToolAnswer":
        return derived(tools[0], "successor" in text)
    if form == "SeedQueriesAnswer":
        return {"queries": ["Please find me something nice", "Anything will do for me"]}
    if form == "QueriesAnswer":
        found = re.search(r'^"(\S+)" is the richer one of the two, "(\S+)" the plainer', text, flags=re.M)
        number = re.search(r"^Write (\d+) messages", text, flags=re.M)
        assert found and number
        return {"queries": queries([t["name"] for t in tools], found[1], found[2], int(number[1]))}
    asked = blocks(text, "queries")[0]
    if form == "CallsAnswer":
        return {"calls": [{"number": q["number"], **call(tools[0], q["query"])} for q in asked]}
    entries = []
    for query in asked:
        made, best = grades(tools, query["query"])
        entries.append(
            {"number": query["number"], "reason": "it is so", "a": made[0], "b": made[1], "best": "AB"[best]}
        )
    return {"grades": entries}


def play(body: dict[str, Any], number: int) -> Answer:
    """For :class:`tests.llm.fake_server.FakeServer`."""
    return completion(json.dumps(answer(body)))


class ScriptedTeacher:
    """The same in this process. ``asked`` lists the stages that were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def made(self, stage: str, value: Any) -> Made[Any]:
        self.asked.append(stage)
        return Made(value, Provenance(stage=stage, model="scripted"))

    async def derive(self, seed: Seed) -> Made[tuple[Tool, str]]:
        function = derived(seed.tool.openai()["function"], seed.upgrade)
        note = function.pop("note")
        return self.made(
            "derive", (Tool.model_validate({"function": function, "domain": seed.tool.domain}), note)
        )

    async def seed_queries(self, tool: Tool, number: int) -> Made[list[str]]:
        return self.made("seed_queries", ["Please find me something nice"] * number)

    async def queries(
        self, tools: tuple[Tool, Tool], derivation: Derivation, number: int, examples: Sequence[str]
    ) -> Made[list[QueryDraft]]:
        found = queries([t.name for t in tools], derivation.from_tool, derivation.tool, number)
        return self.made("queries", [QueryDraft(query=q["query"], intended=q["better"]) for q in found])

    async def calls(self, tool: Tool, queries: Sequence[QueryDraft]) -> Made[list[CallDraft | None]]:
        function = tool.openai()["function"]
        return self.made("calls", [CallDraft(**call(function, q.query)) for q in queries])

    async def judge(
        self, shown: tuple[Tool, Tool], queries: Sequence[QueryDraft]
    ) -> Made[list[Judgement | None]]:
        names = (shown[0].name, shown[1].name)
        functions = [t.openai()["function"] for t in shown]
        found = []
        for query in queries:
            made, best = grades(functions, query.query)
            grade = dict(zip(names, made, strict=True))
            found.append(Judgement(shown=names, grades=grade, best=names[best]))
        return self.made("judge", found)


def made(folder: Path) -> dict[str, str]:
    """What a synthesis is for, byte by byte."""
    names = ("pairs.jsonl", "rejected.jsonl", "synthesis/funnel.json")
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def funnel(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "synthesis/funnel.json").read_text(encoding="utf-8"))
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
