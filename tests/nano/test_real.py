from __future__ import annotations

import gzip
import itertools
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gentool import data
from gentool.catalog.pairs import read_pairs
from gentool.nano import real
from gentool.nano.exam import open_worlds
from gentool.nano.real import cloze_world, name_words, open_pairs, open_world, real_tools, served_world
from gentool.prompting.order import seeded
from gentool.records import GENERATE_RESPONSE, Tool

MODEL = {
    "metadata": {"serviceId": "Barn", "uid": "barn-2020-01-01"},
    "operations": {
        "FeedHorse": {
            "name": "FeedHorse",
            "input": {"shape": "In"},
            "documentation": "<p>Gives one horse of the barn some hay. It may take a while.</p>",
        },
        "InspectHorse": {"name": "InspectHorse", "documentation": "<p>Looks at one horse of the barn.</p>"},
        "Nap": {"name": "Nap", "documentation": "<p>Sleeps.</p>"},
    },
    "shapes": {
        "In": {
            "type": "structure",
            "required": ["h"],
            "members": {name: {"shape": "Text"} for name in "abcdefgh"},
        },
        "Text": {"type": "string"},
    },
}


def test_real_tools_are_shortened_and_hold_no_word_of_the_exam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "barn/2020-01-01/service-2.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(MODEL), encoding="utf-8")
    monkeypatch.setattr(real, "_installed", lambda package: [file] if package == "botocore" else [])
    (tool,) = real_tools(0)
    sentences = "Gives one horse of the barn some hay. It may take a while."
    assert (tool.name, tool.description) == ("FeedHorse", sentences)
    assert tool.parameters == {"type": "object", "properties": {}}


def test_documents_are_cut_at_the_end_of_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = "Gives one horse of the barn some hay of the best kind."
    model = json.loads(json.dumps(MODEL))
    model["operations"]["FeedHorse"]["documentation"] = " ".join([sentence] * 20)
    file = tmp_path / "barn/2020-01-01/service-2.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(model), encoding="utf-8")
    monkeypatch.setattr(real, "_installed", lambda package: [file] if package == "botocore" else [])
    (tool,) = real_tools(0)
    assert tool.description == " ".join([sentence] * 5)


def test_requests_hold_words_that_only_the_tool_that_serves_them_has() -> None:
    tools = [tool for pair in read_pairs(data.PAIRS) for tool in pair.tools]
    words = ("alpha", "beta", "gamma", "delta", "epsilon")
    named = 0
    for n in range(40):
        world = cloze_world(seeded(n), tools, 5, 6, words)
        shown = {tool.name: tool for tool in world.tools}
        assert len(shown) == 6
        for ask in world.asks:
            tool = shown[ask.call.name]
            Draft202012Validator(tool.parameters).validate(ask.call.arguments)
            others = {w for t in shown.values() if t is not tool for w in telling(t)}
            said = ask.query.lower()
            assert any(word in said or word[:-1] in said for word in telling(tool) - others)
            assert all(text.lower() in said for text in ask.said)
            assert ask.ranking == (tool.name, GENERATE_RESPONSE)
            for name in ask.call.arguments:
                if name.split("_")[0] in words:
                    named += 1
                    assert name.replace("_", " ") in said
    assert named > 20


def telling(tool: Tool) -> set[str]:
    return {
        w.lower() for w in re.findall("[A-Z]?[a-z]+|[A-Z]+", f"{tool.name} {tool.description}") if len(w) > 3
    }


def test_served_worlds_show_one_tool_of_a_pair_and_ask_what_it_serves() -> None:
    pairs = read_pairs(data.PAIRS)
    queries = {q.query: q for p in pairs for q in p.queries}
    for n in range(30):
        world = served_world(seeded(n), pairs, 5, 8)
        names = {tool.name for tool in world.tools}
        assert len(names) == 6 and GENERATE_RESPONSE in names
        assert all(sum(tool.name in names for tool in pair.tools) <= 1 for pair in pairs)
        assert len({ask.query for ask in world.asks}) == len(world.asks) == 8
        for ask in world.asks:
            query = queries[ask.query]
            assert query.grades[ask.call.name] == "full" and ask.call in query.tool_calls
            assert ask.ranking == (ask.call.name, GENERATE_RESPONSE) and ask.call.name in names


def test_nothing_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "PLACES", {"no_such_package": ("data", "*.json")})
    assert real_tools(0) == []


@pytest.mark.parametrize("name", ["listOpenIssues", "list_open_issues", "list-open-issues", "ListOpenISSUES"])
def test_words_of_a_name(name: str) -> None:
    assert name_words(name) == {"list", "open", "issues"}


def test_of_the_open_dataset_only_the_groups_asked_for_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "OPEN", tmp_path)
    assert open_pairs(["T"]) == [] and open_worlds() == []
    groups = itertools.cycle("TAUTD")
    pairs = [
        p.model_copy(update={"group": g, "unseen_tool": None})
        for p, g in zip(read_pairs(data.PAIRS), groups, strict=False)
    ]
    lines = "".join(p.model_dump_json() + "\n" for p in pairs)
    (tmp_path / "pairs.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert {p.group for p in open_pairs(["T"])} == {"T"}
    trained = {tool.name for p in open_pairs(["T", "D"]) for tool in p.tools}
    for world in open_worlds(lists=10):
        assert len(world.tools) == 6
        assert not trained & {tool.name for tool in world.tools}


def test_what_is_right_follows_from_the_grades() -> None:
    pairs = read_pairs(data.PAIRS)
    queries = {q.query: q for p in pairs for q in p.queries}
    for n in range(30):
        world = open_world(seeded(n), pairs, 5, 10)
        names = [tool.name for tool in world.tools]
        assert len(set(names)) == 6
        for ask in world.asks:
            useful = queries[ask.query].useful(names)
            assert ask.ranking == (*useful, GENERATE_RESPONSE) and ask.call.name == ask.ranking[0]
