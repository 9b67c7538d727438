"""The command, with a scripted teacher behind a server on this machine."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gentool.catalog.pairs import read_pairs
from gentool.catalog.schema import pair_problems
from gentool.jsonl import read_jsonl
from gentool.synthesis.records import Unit
from tests.conftest import read_json
from tests.llm.fake_server import Answer, FakeServer, error
from tests.synthesis.scripted import funnel, made, play, rows
from tests.test_survival import Machine, printed, small_disk  # noqa: F401

Command = Callable[..., int]
Synthesis = Callable[..., Path]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    made = Machine("light")
    yield made
    made.close()


def run(folder: Path) -> Path:
    return folder / "runs" / "tiny"


def requests(server: FakeServer) -> list[str]:
    return [json.dumps(body, sort_keys=True) for body in server.bodies]


def answered(folder: Path) -> set[str]:
    """The bodies of all requests whose answers are kept."""
    path = run(folder) / "cache/teacher.sqlite"
    if not path.is_file():
        return set()
    base = sqlite3.connect(path)
    try:
        found = base.execute("SELECT request FROM calls").fetchall()
    except sqlite3.OperationalError:  # it was killed before there was a table
        return set()
    finally:
        base.close()
    return {json.dumps(json.loads(text), sort_keys=True) for (text,) in found}


@pytest.fixture
def unbroken(teacher: FakeServer, gentool: Command, tmp_path: Path) -> Callable[[Path], dict[str, str]]:
    """What a recipe makes when nothing interrupts it; the run is then taken away."""

    def make(recipe: Path) -> dict[str, str]:
        assert gentool("synthesize", recipe, "--runs", tmp_path / "other") == 0
        teacher.bodies.clear()
        return made(tmp_path / "other" / "tiny")

    return make


def test_a_catalogue_becomes_pairs_that_the_build_takes(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=12, queries=6, upgrades=0.3)
    assert gentool("synthesize", recipe) == 0
    shown = capsys.readouterr()
    assert "runs/tiny/pairs.jsonl" in shown.out and "84 requests answered" in shown.err
    assert "pairs to make 12 requests 84 " in " ".join(shown.err.split()), "the estimate, before"
    pairs = read_pairs(run(tmp_path) / "pairs.jsonl")
    assert len(pairs) == 12 and not any(pair_problems(p) for p in pairs)
    counts = funnel(run(tmp_path))
    assert counts["queries_accepted"] == counts["queries"] == 72
    assert counts["queries_accepted_for_the_richer_tool"] == 36
    units = read_jsonl(Unit, run(tmp_path) / "synthesis/units.jsonl")
    upgraded = [u for u in units if u.seed.upgrade]
    assert upgraded and all(
        u.derivation and u.tools and u.derivation.from_tool == u.tools[1].name for u in upgraded
    )
    for unit in units:
        assert [p.stage for p in unit.provenance] in (
            ["weak_tool", "seed_queries"],
            ["strong_tool", "seed_queries"],
        )
        for item in unit.items:
            stages = [p.stage for p in item.provenance]
            assert stages == ["queries", "judge", "judge", "calls", "calls"]
            assert all(p.call and p.prompt and p.model == "served-model-1" for p in item.provenance)
    teacher.bodies.clear()
    assert gentool("build", recipe, "--set", "data.tools=[catalog, package]") == 0
    assert teacher.bodies == []
    assert read_json(run(tmp_path) / "scenarios/summary.json")["tools"] > 24


def test_the_teacher_sees_data_between_tags_and_the_judge_no_intention(
    teacher: FakeServer, gentool: Command, synthesis: Synthesis
) -> None:
    assert gentool("synthesize", synthesis(tools=1, language="Danish", domain="travel")) == 0
    prompts = {b["response_format"]["json_schema"]["name"]: b["messages"] for b in teacher.bodies}
    assert set(prompts) == {"ToolAnswer", "SeedQueriesAnswer", "QueriesAnswer", "CallsAnswer", "GradesAnswer"}
    for messages in prompts.values():
        assert "instruction" in messages[0]["content"] and messages[0]["role"] == "system"
    text = prompts["QueriesAnswer"][-1]["content"]
    assert "in Danish" in text and "travel" in text
    orders = [
        [t["name"] for t in map(json.loads, _tools(b))]
        for b in teacher.bodies
        if "Tool A" in b["messages"][-1]["content"]
    ]
    assert len(orders) == 2 and orders[0] == orders[1][::-1]
    judged = prompts["GradesAnswer"][-1]["content"]
    assert (
        "because" not in judged and "weak" not in judged and "better" not in judged and "richer" not in judged
    )
    called = [b for b in teacher.bodies if b["response_format"]["json_schema"]["name"] == "CallsAnswer"]
    assert [len(_tools(b)) for b in called] == [1, 1]


def _tools(body: dict[str, Any]) -> list[str]:
    text = body["messages"][-1]["content"]
    return [part.split("\n</tool>")[0] for part in text.split("<tool>\n")[1:]]


def test_the_order_in_which_answers_come_changes_nothing(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    unbroken: Callable[[Path], dict[str, str]],
) -> None:
    recipe = synthesis(tools=8)
    expected = unbroken(recipe)
    chance = Random(1)

    def late(body: dict[str, Any], number: int) -> Answer:
        time.sleep(chance.random() / 50)
        return play(body, number)

    teacher.play = late
    assert gentool("synthesize", recipe, "--set", "synthesis.at_once=3") == 0
    assert made(run(tmp_path)) == expected


def test_killed_at_random_moments_a_run_loses_nothing_and_repeats_no_kept_answer(
    machine: Machine,
    teacher: FakeServer,
    synthesis: Synthesis,
    tmp_path: Path,
    unbroken: Callable[[Path], dict[str, str]],
) -> None:
    recipe = synthesis(tools=16)
    expected = unbroken(recipe)
    chance = Random(7)
    kills = 0
    for _ in range(8):
        order: dict[str, Any] = {"after": chance.uniform(0.05, 0.5)}
        if chance.random() < 0.5:
            order = {"at": r"units\.jsonl|lineage|catalog|pairs\.jsonl", "count": chance.randint(1, 6)}
        kept = answered(tmp_path)
        asked = len(teacher.bodies)
        code = machine.run(tmp_path, "synthesize", "recipe.yaml", signal=signal.SIGKILL, **order)
        assert code in (-signal.SIGKILL, 0), printed(tmp_path)
        kills += code != 0
        assert not kept & set(requests(teacher)[asked:])
    assert kills >= 4
    kept = answered(tmp_path)
    asked = len(teacher.bodies)
    assert machine.run(tmp_path, "synthesize", "recipe.yaml") == 0, printed(tmp_path)
    assert not kept & set(requests(teacher)[asked:])
    assert made(run(tmp_path)) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_requests_under_way_finish_and_says_how_to_go_on(
    machine: Machine,
    teacher: FakeServer,
    synthesis: Synthesis,
    tmp_path: Path,
    unbroken: Callable[[Path], dict[str, str]],
    number: signal.Signals,
) -> None:
    recipe = synthesis(tools=12, at_once=2)
    expected = unbroken(recipe)
    code = machine.run(
        tmp_path, "synthesize", "recipe.yaml", at=r"^open .*/units\.jsonl", count=2, signal=number
    )
    assert code == 128 + number
    text = printed(tmp_path)
    assert (
        "what was done is kept. To go on: gentool synthesize recipe.yaml" in text and "Traceback" not in text
    )
    assert set(requests(teacher)) == answered(tmp_path), "all that was asked was kept"
    assert 0 < len(teacher.bodies) < 12 * 7
    assert machine.run(tmp_path, "synthesize", "recipe.yaml") == 0, printed(tmp_path)
    assert len(teacher.bodies) == len(set(requests(teacher)))
    assert made(run(tmp_path)) == expected


def test_rules_stop_at_a_signal_too(machine: Machine, synthesis: Synthesis, tmp_path: Path) -> None:
    synthesis(teacher="rules", tools=6, at_once=1)
    order = {"at": r"^open .*/units\.jsonl", "count": 2, "signal": signal.SIGINT}
    assert machine.run(tmp_path, "synthesize", "recipe.yaml", **order) == 130
    assert len(rows(run(tmp_path) / "synthesis/units.jsonl")) == 2
    assert machine.run(tmp_path, "synthesize", "recipe.yaml") == 0
    units = rows(run(tmp_path) / "synthesis/units.jsonl")
    assert len(units) == 6 and {p["model"] for u in units for p in u["provenance"]} == {"rules"}


def test_a_budget_stops_with_everything_saved(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    unbroken: Callable[[Path], dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=6, at_once=2)
    expected = unbroken(recipe)
    assert gentool("synthesize", recipe, "--max-requests", 20) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert "the budget is spent: 20 requests" in text and "Fix: raise it" in text and "seeds done" in text
    assert len(teacher.bodies) == 20
    counts = funnel(run(tmp_path))
    assert counts["seeds_left"] > 0 and counts["pairs"] == len(rows(run(tmp_path) / "pairs.jsonl")) > 0
    assert gentool("synthesize", recipe) == 0
    assert len(teacher.bodies) == len(set(requests(teacher))) == 6 * 7
    assert made(run(tmp_path)) == expected


def test_a_server_that_fails_stops_the_run_with_everything_saved(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    unbroken: Callable[[Path], dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=20, at_once=4)
    expected = unbroken(recipe)
    teacher.play = lambda body, number: play(body, number) if number <= 30 else Answer({"error": "x"}, 500)
    assert gentool("synthesize", recipe) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert "teacher: 5 requests in a row failed" in text and "the same command goes on" in text
    assert len(answered(tmp_path)) == 30
    teacher.play = play
    teacher.bodies.clear()
    assert gentool("synthesize", recipe) == 0
    assert len(teacher.bodies) == 20 * 7 - 30
    assert made(run(tmp_path)) == expected


def test_a_request_that_the_server_refuses_costs_its_seed_alone(
    teacher: FakeServer, gentool: Command, synthesis: Synthesis, tmp_path: Path
) -> None:
    def strict(body: dict[str, Any], number: int) -> Answer:
        text = body["messages"][-1]["content"]
        if "search_museums" in text and "weaker than this one" in text:
            return Answer({"error": {"message": "too long for me", "code": "context_length_exceeded"}}, 400)
        return play(body, number)

    teacher.play = strict
    assert gentool("synthesize", synthesis(tools=4, upgrades=0)) == 0
    counts = funnel(run(tmp_path))
    assert counts["pairs"] == 3 and counts["pairs_rejected"] == {"weaker_tool": 1}
    assert "too long for me" in rows(run(tmp_path) / "rejected.jsonl")[0]["findings"][0]["reason"]


def test_a_seed_without_an_answer_is_left_and_done_later(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=4)
    hit = []

    def once(body: dict[str, Any], number: int) -> Any:
        if not hit and "search_museums" in body["messages"][-1]["content"]:
            hit.append(number)
            return Answer({"error": "overloaded"}, 500)
        return play(body, number)

    teacher.play = once
    assert gentool("synthesize", recipe) == 2
    assert "1 seeds are left, since requests failed: teacher: " in " ".join(capsys.readouterr().err.split())
    assert funnel(run(tmp_path))["seeds_left"] == 1
    assert gentool("synthesize", recipe) == 0
    assert funnel(run(tmp_path))["pairs"] == 4


def test_a_full_disk_is_survived(
    machine: Machine,
    teacher: FakeServer,
    synthesis: Synthesis,
    tmp_path: Path,
    unbroken: Callable[[Path], dict[str, str]],
    small_disk: Callable[[str], None],  # noqa: F811
) -> None:
    recipe = synthesis(tools=8, at_once=2)
    expected = unbroken(recipe)
    refused = 0
    for size in (128, 256, 512, 1024, 6144, 8192, 16384):
        small_disk(f"size={size}k")
        kept = answered(tmp_path)
        asked = len(teacher.bodies)
        code = machine.run(tmp_path, "synthesize", "recipe.yaml")
        assert not kept & set(requests(teacher)[asked:])
        if code == 0:
            break
        text = printed(tmp_path)
        assert code == 2 and "Traceback" not in text and "Fix: " in text, text
        refused += 1
    assert refused >= 2 and made(run(tmp_path)) == expected


def test_a_torn_last_line_is_cut_off_and_made_again_for_nothing(
    teacher: FakeServer, gentool: Command, synthesis: Synthesis, tmp_path: Path
) -> None:
    recipe = synthesis(tools=4)
    assert gentool("synthesize", recipe) == 0
    expected = made(run(tmp_path))
    units = run(tmp_path) / "synthesis/units.jsonl"
    whole = units.read_bytes()
    units.write_bytes(whole[: len(whole) - 40])
    teacher.bodies.clear()
    assert gentool("synthesize", recipe) == 0
    assert teacher.bodies == [] and made(run(tmp_path)) == expected
    assert sorted(units.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_other_options_make_units_anew_and_others_do_not(
    teacher: FakeServer, gentool: Command, synthesis: Synthesis, tmp_path: Path
) -> None:
    recipe = synthesis(tools=3)
    assert gentool("synthesize", recipe) == 0
    teacher.bodies.clear()
    for setting in ("at_once=1", "max_requests=1000", "teacher.concurrency=1", "max_tools=2"):
        assert gentool("synthesize", recipe, "--set", f"synthesis.{setting}") == 0
        assert teacher.bodies == [], setting
    assert funnel(run(tmp_path))["seeds"] == 2
    assert gentool("synthesize", recipe, "--set", "synthesis.language=Danish") == 0
    # Only prompts that name the language differ; other answers are known.
    assert len(teacher.bodies) == 3 * 3
    assert len(rows(run(tmp_path) / "synthesis/units.jsonl")) == 3 + 3
    assert funnel(run(tmp_path))["pairs"] == 3


def test_shards_make_together_what_one_run_makes(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    unbroken: Callable[[Path], dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=9, pairs_per_tool=2, ways=["fewer_filters", "coarser_result"])
    expected = unbroken(recipe)
    folders = []
    for number in (1, 2, 3):
        assert gentool("synthesize", recipe, "--shard", f"{number}/3") == 0
        folders.append(tmp_path / f"runs/tiny-shard-{number}-of-3")
    assert sum(funnel(f)["seeds"] for f in folders) == 18 and all(funnel(f)["seeds"] for f in folders)
    out = tmp_path / "runs/tiny"
    for wrong, told in [
        (folders[:2], "missing: 3"),
        ([*folders, folders[0]], "each shard once"),
        ([tmp_path], "no synthesis/shard.json"),
    ]:
        assert gentool("merge", *wrong, "--out", out) == 2
        assert told in " ".join(capsys.readouterr().err.split())
    asked = len(teacher.bodies)
    assert gentool("merge", *folders[::-1], "--out", out) == 0
    assert made(out) == expected
    assert gentool("synthesize", recipe) == 0 and len(teacher.bodies) == asked
    assert made(out) == expected
    assert gentool("merge", *folders, "--out", out) == 2
    assert gentool("synthesize", recipe, "--shard", "1/3", "--set", "synthesis.language=Danish") == 0
    assert gentool("merge", *folders, "--out", tmp_path / "runs/new") == 2
    assert "another catalogue, seed, options" in " ".join(capsys.readouterr().err.split())
    assert gentool("synthesize", recipe, "--shard", "4/3") == 2


def test_preview_shows_prompts_and_asks_only_when_told(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=4)
    assert gentool("preview", "synth", recipe, "-n", 1) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}" in shown for name in ("_tool", "seed_queries", "queries", "judge", "calls"))
    assert teacher.bodies == [] and not (tmp_path / "runs").exists()
    assert gentool("preview", recipe, "--task", "synth", "-n", 1, "--ask") == 0
    assert "accepted" in capsys.readouterr().out
    asked = len(teacher.bodies)
    assert asked == 7
    assert gentool("synthesize", recipe) == 0
    assert len(teacher.bodies) == len(set(requests(teacher))) == 4 * 7, (
        "what the preview asked is not asked again"
    )


def test_own_prompts_replace_single_ones(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    text = '{% import "_parts.jinja" as parts %}{% block user %}MINE {{ parts.block("tool", tool) }}{% endblock %}'
    (folder / "weak_tool.jinja").write_text(text, encoding="utf-8")
    recipe = synthesis(tools=2, prompts=str(folder), upgrades=0)
    assert gentool("synthesize", recipe) == 0
    assert sum(b["messages"][-1]["content"].startswith("MINE") for b in teacher.bodies) == 2
    for name, text, told in [
        ("weak_tool.jinja", "{% block user %}{{ tol }}{% endblock %}", "'tol' is undefined"),
        ("weak_tool.jinja", "{% block user %}", "weak_tool.jinja:1: "),
        ("weak_tool.jinja", "no block", "no block `user`"),
        ("weak_tool.jinja", "{% block user %}{{ ''.__class__.__mro__ }}{% endblock %}", "weak_tool.jinja: "),
        ("weak.jinja", "x", "replaces no prompt"),
    ]:
        for old in folder.iterdir():
            old.unlink()
        (folder / name).write_text(text, encoding="utf-8")
        assert gentool("synthesize", recipe) == 2, text
        shown = " ".join(capsys.readouterr().err.split())
        assert told in shown and "Fix:" in shown and "Traceback" not in shown, shown


def test_what_is_missing_is_told_early(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis()
    for words, told in [
        (["synthesize", recipe, "--set", "synthesis=null"], "expected a section `synthesis`"),
        (["synthesize", recipe, "--set", "synthesis.tools=absent.json"], "absent.json"),
        (["synthesize", recipe, "--set", "synthesis.prompts=absent"], "synthesis.prompts: expected a folder"),
        (["synthesize", recipe, "--set", "synthesis.use_cases=absent"], "synthesis.use_cases"),
        (["synthesize", recipe, "--max-cost", 1], "max_cost"),
        (["run", recipe], "model: expected a model to train"),
        (["preview", recipe, "synth"], "synth and a recipe"),
        (
            ["build", recipe, "--set", "synthesis=null", "--set", "data.tools=[catalog]"],
            "`catalog` stands for",
        ),
    ]:
        assert gentool(*words) == 2
        assert told in " ".join(capsys.readouterr().err.split())
    assert teacher.bodies == []


def test_a_decision_changes_the_pairs_when_they_are_built_again(
    teacher: FakeServer, gentool: Command, synthesis: Synthesis, tmp_path: Path
) -> None:
    recipe = synthesis(tools=12)
    assert gentool("synthesize", recipe) == 0
    unit = read_jsonl(Unit, run(tmp_path) / "synthesis/units.jsonl")[0]
    decision = {
        "item": unit.items[0].id,
        "reviewer": "a",
        "decision": "reject",
        "reason": "odd",
        "at": "2026-01-01",
    }
    (run(tmp_path) / "reviews.jsonl").write_text(json.dumps(decision) + "\n", encoding="utf-8")
    assert gentool("build", recipe) == 0
    assert funnel(run(tmp_path))["queries_rejected"] == {"review": 1}
    built = read_pairs(run(tmp_path) / "scenarios/pairs.jsonl")
    assert unit.items[0].draft.query not in {q.query for p in built for q in p.queries}
    assert gentool("build", recipe, "--set", "synthesis.require_review=true") == 2
    assert funnel(run(tmp_path))["queries_unreviewed"] == 12 * 4 - 1


def test_only_synthesize_and_run_ask_a_teacher(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is asked for by the way would be paid without a limit, or even be thrown away with a preview."""
    recipe = synthesis(tools=12, at_once=2)
    looks = [
        ["build", recipe],
        ["preview", recipe, "-n", 1],
        ["train", recipe, "--dry-run"],
        ["export", recipe, "--format", "trl", "--out", tmp_path / "out"],
    ]
    for words in looks:
        assert gentool(*words) == 2
        assert "recipe tiny: expected pairs" in capsys.readouterr().err
    assert teacher.bodies == []
    assert gentool("synthesize", recipe, "--max-requests", 60) == 2
    asked = len(teacher.bodies)
    pairs = (run(tmp_path) / "pairs.jsonl").read_text(encoding="utf-8")
    capsys.readouterr()
    assert gentool("build", recipe, "--set", "data.tools=[catalog, package]") == 0
    assert "seeds are left; `gentool synthesize RECIPE`" in " ".join(capsys.readouterr().err.split())
    assert (run(tmp_path) / "pairs.jsonl").read_text(encoding="utf-8") == pairs
    assert len(teacher.bodies) == asked == 60


def test_a_look_takes_the_pairs_that_are_there_and_changes_nothing(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=12)
    assert gentool("synthesize", recipe) == 0
    asked = len(teacher.bodies)
    before = {p: p.stat().st_mtime_ns for p in run(tmp_path).rglob("*") if p.is_file()}
    model = (
        "model={random_init: {architecture: qwen3, hidden_size: 32, layers: 1, heads: 2, key_value_heads: 1}}"
    )
    assert (
        gentool("train", recipe, "--dry-run", "--set", "data.tools=[catalog, package]", "--set", model) == 0
    )
    assert "training" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in run(tmp_path).rglob("*") if p.is_file()} == before
    assert len(teacher.bodies) == asked


def test_a_merge_of_shards_that_are_not_done_asks_nothing(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=12, at_once=1)
    for shard in ("1/2", "2/2"):
        assert gentool("synthesize", recipe, "--shard", shard, "--max-requests", 16) == 2
    asked = len(teacher.bodies)
    folders = [tmp_path / f"runs/tiny-shard-{i}-of-2" for i in (1, 2)]
    capsys.readouterr()
    assert gentool("merge", *folders, "--out", tmp_path / "whole") == 0
    assert "seeds are left" in capsys.readouterr().err
    assert len(teacher.bodies) == asked == 32
    assert 0 < funnel(tmp_path / "whole")["seeds_left"] < 12


def test_a_servers_text_is_no_markup_and_steers_no_terminal(
    teacher: FakeServer, gentool: Command, synthesis: Synthesis, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(body: dict[str, Any], number: int) -> Answer:
        return error(500, "broken [/gateway] \x1b[31m [bold]") if number == 1 else play(body, number)

    teacher.play = broken
    server = {"model": "m", "base_url": teacher.url, "max_retries": 1}
    assert gentool("synthesize", synthesis(tools=2, teacher=server)) == 0
    told = capsys.readouterr().err
    assert "broken [/gateway] \\x1b[31m [bold]; trying again" in told and "\x1b" not in told


def test_a_preview_says_what_the_whole_will_take(
    teacher: FakeServer, gentool: Command, synthesis: Synthesis, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gentool("preview", "synth", synthesis(prices={"m": {"input": 1, "output": 2}}), "-n", 1) == 0
    words = capsys.readouterr().out.split()
    assert words[words.index("requests") + 1] == str(6 * 7) and "$0." in "".join(words)


def test_a_key_in_the_recipe_is_not_repeated(
    gentool: Command, synthesis: Synthesis, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = synthesis()
    for section in ("{model: m, api_key: sk-secret}", "{api_key_env: sk-secret}"):
        assert gentool("synthesize", recipe, "--set", f"synthesis.teacher={section}") == 2
        told = capsys.readouterr().err
        assert "synthesis.teacher.api_key" in told and "secret" not in told and "rules" not in told
    assert gentool("synthesize", recipe, "--set", "synthesis.teacher=rule") == 2
    assert "synthesis.teacher: Input should be 'rules'" in capsys.readouterr().err


def test_a_unit_that_is_damaged_is_named_with_its_line(
    teacher: FakeServer,
    gentool: Command,
    synthesis: Synthesis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = synthesis(tools=3, at_once=1)
    assert gentool("synthesize", recipe) == 0
    path = run(tmp_path) / "synthesis/units.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    unit = json.loads(lines[1])
    for change, code, told in [
        ({"items": "none"}, 2, "units.jsonl:2: unit: items: Input should be a valid tuple"),
        ({"seed": {**unit["seed"], "id": "f" * 40}}, 0, "1 lines are damaged"),
        ({"seed": {**unit["seed"], "id": "-5"}}, 0, "1 lines are damaged"),
    ]:
        changed = [lines[0], json.dumps(unit | change), *lines[2:]]
        path.write_text("\n".join(changed) + "\n", encoding="utf-8")
        assert gentool("synthesize", recipe) == code
        assert told in capsys.readouterr().err
    assert len(set(requests(teacher))) == len(requests(teacher))


def test_few_requests_finish_some_seeds_and_do_not_begin_many(
    teacher: FakeServer, gentool: Command, synthesis: Synthesis, tmp_path: Path
) -> None:
    assert gentool("synthesize", synthesis(tools=40), "--max-requests", 30) == 2
    assert len(teacher.bodies) == 30 and funnel(run(tmp_path))["pairs"] >= 3
