"""The explorer in a browser: filters, comparison, download, and that it stays small and safe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gentool.evaluation.errors import CLASSES
from gentool.records import SCENARIOS, TRANSITIONS, Tool, ToolCall
from gentool.report.write import write_report
from tests.report.browser import CHROMIUM, Browser
from tests.report.test_report import page_data
from tests.report.tiny_run import HOSTILE, MODELS, STRONG, WEAK, make_run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

PAIRS = 12
PAGE = 25
Case = dict[str, Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("explored"), pairs=PAIRS))


@pytest.fixture(scope="module")
def data(report: Path) -> dict[str, Any]:
    return page_data(report.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def browser(tab: Browser, report: Path) -> Iterator[Browser]:
    tab.console.clear()
    tab.open(report)
    yield tab
    assert not tab.console


def classes(data: dict[str, Any], index: int, model: str, after: bool = True, seed: str = "0") -> list[str]:
    judged = data["results"][model]["0" if model == "base" else seed][index][after]
    return [CLASSES[n] for n in judged[0]]


def number(browser: Browser) -> int:
    return int(browser.texts("#count")[0].split()[0])


def choices(browser: Browser, name: str) -> dict[str, int]:
    """The choices of a filter, and the number beside each."""
    found: list[list[str]] = browser.run(
        f"[...document.querySelectorAll('#filters [name={name}] option')].map((o) => [o.value, o.textContent])"
    )
    return {value: int(text.rsplit("(", 1)[1].rstrip(")")) for value, text in found}


def expected(data: dict[str, Any], fits: Callable[[int, Case], bool]) -> int:
    return sum(fits(i, c) for i, c in enumerate(data["cases"]))


def test_filters_and_the_numbers_beside_their_choices(browser: Browser, data: dict[str, Any]) -> None:
    total = len(data["cases"])
    assert number(browser) == total == 11 * PAIRS

    def count(name: str, model: str = "", after: bool = True) -> int:
        models = [model] if model else list(MODELS)
        return expected(data, lambda i, c: any(name in classes(data, i, m, after) for m in models))

    for field, after in (("class", True), ("before", False)):
        found = choices(browser, field)
        assert found.pop("") == total
        assert found.pop("wrong") == total, "base is never right"
        assert found == {name: count(name, after=after) for name in CLASSES}
        assert sum(n > 0 for n in found.values()) >= 5
    assert choices(browser, "scenario")["seen_query_unseen_tool"] == 2 * PAIRS
    assert choices(browser, "transition")["weak_to_strong"] == 3 * PAIRS

    browser.choose("class", "extra_argument")
    assert number(browser) == count("extra_argument") == choices(browser, "class")["extra_argument"]
    found = choices(browser, "model")
    assert found == {
        "": count("extra_argument"),
        "base": 0,
        "sft": count("extra_argument", "sft"),
        "gentool": count("extra_argument", "gentool"),
    }
    browser.choose("model", "gentool")
    assert number(browser) == found["gentool"]
    browser.choose("class", "wrong")
    assert number(browser) == expected(data, lambda i, c: classes(data, i, "gentool") != ["right"]) < total
    browser.choose("class", "extra_argument")
    browser.choose("scenario", "unseen_query_seen_tool")
    browser.choose("transition", "weak_to_strong")
    # The other choices say what they would show instead.
    assert choices(browser, "transition") == {
        "": PAIRS,
        "zero": 0,
        "zero_to_one": PAIRS // 2,
        "weak_to_strong": 6,
    }
    browser.choose("class", "")
    assert number(browser) == PAIRS
    browser.run("document.querySelector('#filters [type=reset]').click()")
    browser.run("new Promise((done) => setTimeout(done))")
    assert number(browser) == total


def test_a_case_is_found_under_each_of_its_faults(browser: Browser, data: dict[str, Any]) -> None:
    browser.choose("model", "gentool")
    browser.choose("seed", "1")
    browser.choose("transition", "weak_to_strong")
    seen = set()
    for name in ("missing_argument", "extra_argument", "wrong_argument"):
        browser.choose("class", name)
        assert number(browser) == 3 * PAIRS
        seen.add(tuple(browser.texts("#cases .text")))
    assert len(seen) == 1
    card = browser.texts("#case .model[aria-label=gentool]")[0]
    assert "missing argument" in card and "extra argument" in card and "wrong argument" in card
    assert "daysmissing" in card and "does not belong here" in card


def test_both_class_filters_are_asked_of_the_same_model(browser: Browser, data: dict[str, Any]) -> None:
    browser.choose("before", "right")
    browser.choose("class", "malformed")
    assert number(browser) == 0, "only base writes malformed text, and does so before too"
    assert "No example fits these filters." in browser.texts("#case")[0]
    assert browser.run("document.getElementById('download').disabled")


def test_search_finds_words_and_ids(browser: Browser, data: dict[str, Any]) -> None:
    browser.choose("q", "OSLO unseen_query_seen_tool 7?")
    for wanted, words in ((3, None), (1, data["cases"][5]["id"])):
        if words:
            browser.choose("q", words)
        browser.run("new Promise((done) => setTimeout(done, 300))")
        assert number(browser) == wanted


def test_comparison_of_two_models(browser: Browser, data: dict[str, Any]) -> None:
    browser.choose("a", "sft")
    assert browser.run("document.getElementById('filters').elements.ab.disabled")
    browser.choose("b", "gentool")

    def right(i: int, model: str) -> bool:
        return classes(data, i, model) == ["right"]

    found = choices(browser, "ab")
    assert found[""] == 11 * PAIRS
    assert found["a_right"] == expected(data, lambda i, c: right(i, "sft") and not right(i, "gentool")) == 0
    assert found["b_right"] == expected(data, lambda i, c: right(i, "gentool") and not right(i, "sft")) > 0
    assert found["both_wrong"] == expected(data, lambda i, c: not right(i, "sft") and not right(i, "gentool"))
    # All but the zero probes of even pairs, where both answer without a tool.
    assert found["differ"] == 11 * PAIRS - 4 * PAIRS // 2
    for value in ("a_right", "b_right", "differ", "both_wrong"):
        browser.choose("ab", value)
        assert number(browser) == found[value]
    browser.choose("a", "gentool")
    browser.choose("b", "sft")
    browser.choose("ab", "a_right")
    assert number(browser) == found["b_right"]
    assert browser.run(
        "[...document.querySelectorAll('#case .compared > .model')].map((n) => n.ariaLabel)"
    ) == [
        "A: gentool",
        "B: sft",
    ]


def test_differences_of_two_calls_are_marked(browser: Browser, report: Path) -> None:
    browser.open(report, "#a=sft&b=gentool&ab=differ&seed=1&model=sft&class=extra_argument")
    browser.choose("scenario", "unseen_query_unseen_tool")
    marked = [browser.texts(f"#case .compared > .model:nth-child({n}) .arguments .differs") for n in (1, 2)]
    # Both call the right tool: sft with `constructor`, gentool with another city and more.
    assert any(t.startswith('city: "Oslo"') for t in marked[0])
    assert any(t.startswith("constructor: ") for t in marked[0]) and "big not given" in marked[0]
    assert any(t.startswith("big: 12345678901234567890") for t in marked[1])
    assert "constructor not given" in marked[1]
    browser.choose("transition", "weak_to_strong")
    browser.choose("class", "weak_for_strong")
    tools = [browser.texts(f"#case .compared > .model:nth-child({n}) .choice .differs") for n in (1, 2)]
    assert [t[-1] for t in tools] == [WEAK.name, STRONG.name]


def test_state_is_in_the_address(browser: Browser, report: Path, data: dict[str, Any]) -> None:
    chosen = next(
        c["id"]
        for i, c in enumerate(data["cases"])
        if c["t"] == 1 and SCENARIOS[c["s"]] == "seen_query_seen_tool" and i > 5
    )
    filters = "scenario=seen_query_seen_tool&transition=zero_to_one&before=right"
    fragment = f"#{filters}&a=base&b=sft&ab=both_wrong&seed=1&case={chosen}"
    browser.open(report, fragment)
    assert browser.texts("#case .case-nav > span")[0].startswith("Example ")
    assert browser.run("document.getElementById('case').dataset.case") == chosen
    assert number(browser) == PAIRS
    browser.press("j")
    after = browser.run("location.hash")
    assert f"case={chosen}" not in after and "ab=both_wrong" in after and "before=right" in after
    browser.press("k")
    assert browser.run("location.hash") == fragment
    # What the page does not know counts as not chosen, and nothing of it gets into the page.
    browser.open(
        report, "#model=__proto__&class=constructor&a=toString&b=%3Cimg%3E&ab=differ&scenario=hasOwnProperty"
    )
    assert number(browser) == len(data["cases"])
    assert browser.run("document.querySelectorAll('img').length") == 0
    browser.open(report, "#a=sft&b=sft&ab=differ")
    assert browser.run("document.getElementById('filters').elements.b.value") == ""


def test_nodes_do_not_grow_with_the_run(browser: Browser, tmp_path: Path) -> None:
    def nodes() -> int:
        found: int = browser.run("document.querySelectorAll('#explorer *').length")
        return found

    assert len(browser.texts("#cases > li")) == PAGE
    large = nodes()
    for _ in range(3):
        browser.run("document.getElementById('page-on').click()")
    assert len(browser.texts("#cases > li")) == PAGE
    browser.open(write_report(make_run(tmp_path / "small", pairs=3)))
    assert number(browser) == 33
    assert nodes() == large


def test_download_holds_all_cases_of_the_filter(browser: Browser, data: dict[str, Any]) -> None:
    browser.choose("model", "gentool")
    browser.choose("seed", "1")
    browser.choose("transition", "weak_to_strong")
    path = browser.download("#download")
    assert path.name == "tiny-run-cases.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = [i for i, c in enumerate(data["cases"]) if TRANSITIONS[c["t"]] == "weak_to_strong"]
    assert len(lines) == len(wanted) == 3 * PAIRS > PAGE
    for line, index in zip(lines, wanted, strict=True):
        found, case = json.loads(line), data["cases"][index]
        query = data["queries"][case["q"]]
        assert (found["id"], found["query"], found["now"]) == (case["id"], query["text"], "2026-03-09T14:50")
        assert (found["scenario"], found["transition"]) == (SCENARIOS[case["s"]], "weak_to_strong")
        assert found["shown"]["after"] == [data["tools"][i][0] for i in data["sets"][case["a"]]["tools"]]
        assert found["gold"]["before"]["ranking"] == case["gb"]
        assert found["gold"]["after"]["ranking"] == case["ga"]
        call = ToolCall.model_validate(found["gold"]["after"]["tool_call"])
        assert call == ToolCall.of(STRONG.name, {"city": "Oslo", "days": 3})
        tools = [Tool.model_validate(t) for t in found["tools"]]
        assert {t.name for t in tools} == {*found["shown"]["before"], *found["shown"]["after"]}
        assert next(t for t in tools if t.name == STRONG.name).openai() == STRONG.openai()
        assert [m["model"] for m in found["models"]] == list(MODELS)
        base, _, gentool = found["models"]
        assert base["after"]["text"] == HOSTILE and base["after"]["tool_call"] is None
        assert (base["seed"], gentool["seed"]) == (0, 1)
        assert base["before"]["class"] == base["after"]["class"] == "malformed"
        assert gentool["after"]["class"] == "missing_argument"
        assert gentool["after"]["classes"] == classes(data, index, "gentool", seed="1")
        arguments = gentool["after"]["tool_call"]["function"]["arguments"]
        assert arguments["city"] == HOSTILE and arguments["big"] == 12345678901234567890
        assert gentool["ranking"]["ranking"] == case["ga"]


def test_hostile_text_is_text(browser: Browser, data: dict[str, Any]) -> None:
    browser.choose("transition", "zero")
    browser.choose("class", "distractor")
    browser.choose("model", "sft")
    browser.run("for (const d of document.querySelectorAll('#case details')) d.open = true")
    shown = browser.texts("#case")[0]
    for words in (HOSTILE, "__proto__", "constructor", f"Could not be read: not JSON: {HOSTILE}"):
        assert words in shown
    assert "__proto__" in browser.texts("#case .model[aria-label=sft] .choice")[1]
    assert browser.run("document.querySelectorAll('img, b, #explorer script').length") == len(
        browser.texts(".legend b")
    )
    assert not browser.run(
        "[...document.querySelectorAll('*')].some((n) => [...n.attributes].some((a) => a.name.startsWith('on')))"
    )
    # The policy keeps out what is not the page's own script.
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'window.broken = 1'; document.body.append(s)"
    )
    assert browser.run("window.broken") is None
    assert any("Content Security Policy" in line for line in browser.console)
    browser.console.clear()


def test_a_run_without_predictions_opens(browser: Browser, report: Path, tmp_path: Path) -> None:
    for name in ("config.yaml", "scores.json"):
        (tmp_path / name).write_bytes((report.parent / name).read_bytes())
    browser.open(write_report(tmp_path))
    assert number(browser) == 0
    assert "No predictions were found" in browser.texts("#case")[0]
