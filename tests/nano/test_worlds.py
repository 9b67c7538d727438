from __future__ import annotations

import re
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from gentool.evaluation.match import same_value
from gentool.nano.exam import exam_level, exam_worlds
from gentool.nano.lessons import STAGES, draw_level
from gentool.nano.lexicon import held_out, lexicon
from gentool.nano.real import name_words
from gentool.nano.tools import STYLES, draw_parameters, tool_name, worded
from gentool.nano.values import make_parameter, parameters, say_value
from gentool.nano.worlds import World, draw_world
from gentool.prompting.order import seeded
from gentool.records import GENERATE_RESPONSE
from gentool.synthesis.grounding import ground_call
from gentool.synthesis.records import CallDraft, QueryDraft


def worlds(number: int, unserved: float = 0.0, **more: float) -> list[World]:
    found = []
    for n in range(number):
        rng = seeded("test", n)
        level = replace(draw_level(rng, STAGES[-1]), unserved=unserved, **more)
        found.append(draw_world(rng, lexicon(), level, 10))
    return found


def test_a_seed_gives_one_world() -> None:
    assert worlds(3) == worlds(3)
    assert len({tuple(tool.id for tool in world.tools) for world in worlds(20)}) == 20


def test_words_of_the_exam_are_in_no_name_or_text_of_training() -> None:
    assert len(held_out()) > 40
    for world in worlds(150):
        for tool in world.tools:
            assert not name_words(tool.name) & held_out(), tool.name
    named = [name_words(t.name) for w in exam_worlds(5) for t in w.tools if t.name != GENERATE_RESPONSE]
    assert all(words & held_out() for words in named)


def test_every_call_is_valid_under_its_schema_and_in_the_ranking() -> None:
    for world in worlds(60, variants=0.2, unserved=0.15):
        tools = {tool.name: tool for tool in world.tools}
        assert GENERATE_RESPONSE in tools and len(tools) == len(world.tools)
        for ask in world.asks:
            Draft202012Validator(tools[ask.call.name].parameters).validate(ask.call.arguments)
            assert ask.ranking[0] == ask.call.name and ask.ranking[-1] == GENERATE_RESPONSE
            assert set(ask.ranking) <= set(tools)
            assert (ask.overlap == "none") == (ask.call.name == GENERATE_RESPONSE)


def test_without_versions_and_unserved_requests_one_tool_serves_each() -> None:
    for world in worlds(100):
        assert all(len(ask.ranking) == 2 for ask in world.asks)


def test_every_value_is_said() -> None:
    grounds = []
    for world in worlds(60):
        tools = {tool.name: tool for tool in world.tools}
        for ask in world.asks:
            assert all(text.lower() in ask.query.lower() for text in ask.said)
            if ask.call.arguments:
                draft = QueryDraft(query=ask.query, now=ask.now, intended=ask.call.name)
                found, _ = ground_call(tools[ask.call.name], draft, CallDraft(arguments=ask.call.arguments))
                grounds += [(name, ground) for name, ground in found.items()]
    bare = [name for name, ground in grounds if ground == "none"]
    assert len(bare) < 0.1 * len(grounds), sorted(bare)


@pytest.mark.parametrize(
    "kind,name,leads", parameters(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_values_fit_their_schemas(kind: str, name: str, leads: tuple[str, ...]) -> None:
    from datetime import datetime

    parameter = make_parameter(kind, name, leads, required=True)
    for n in range(20):
        said = say_value(parameter, seeded("value", n), datetime(2026, 3, 14, 9, 30))
        Draft202012Validator(parameter.schema).validate(said.value)
        if kind in ("person", "place", "code"):
            assert same_value(said.value, said.text[-len(said.value) :])


def test_of_two_versions_the_richer_one_is_right_where_only_it_can_take_what_is_said() -> None:
    seen = {True: 0, False: 0}
    for world in worlds(300, variants=0.2):
        properties = {t.name: set(t.parameters["properties"]) for t in world.tools}
        for ask in world.asks:
            if len(ask.ranking) == 3:
                first, second = (properties[name] for name in ask.ranking[:2])
                said = set(ask.call.arguments)
                seen[len(first) > len(second)] += 1
                assert not said <= second if len(first) > len(second) else said <= first
    assert min(seen.values()) > 20


def test_the_number_of_tools_is_the_level_s() -> None:
    for k in (1, 5, 20):
        level = exam_level(k)
        assert len(draw_world(seeded(k), lexicon(), level, 1).tools) == k + 1


@pytest.mark.parametrize(
    "style,name",
    list(
        zip(
            STYLES,
            ("get_late_train_ticket", "getLateTrainTicket", "get-late-train-ticket", "late_train_ticket_get",
             "travel_get_late_train_ticket"),
            strict=True,
        )
    ),
)  # fmt: skip
def test_names_follow_conventions(style: str, name: str) -> None:
    assert tool_name(style, "get", "train ticket", "late", "travel") == name


def test_arguments_named_by_found_words_are_said_with_them() -> None:
    words = replace(lexicon(), found=("alpha", "beta", "gamma", "delta"))
    level = replace(exam_level(4), found=1.0)
    named = 0
    for n in range(40):
        world = draw_world(seeded("found", n), words, level, 8)
        tools = {tool.name: tool for tool in world.tools}
        for ask in world.asks:
            Draft202012Validator(tools[ask.call.name].parameters).validate(ask.call.arguments)
            for name in ask.call.arguments:
                parts = [part.lower() for part in re.findall("[A-Z]?[a-z]+", name)]
                if set(parts) <= set(words.found):
                    named += 1
                    assert " ".join(parts) in ask.query.lower()
    assert named > 100


def test_without_found_words_arguments_keep_their_names() -> None:
    made = draw_parameters(seeded("own names"), 4)
    assert len(made) > 1
    assert worded(seeded(1), made, ("alpha",), 0.0) == worded(seeded(1), made, (), 1.0) == made
