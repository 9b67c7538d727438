"""``gentool check``: everything that is wrong is named, and what can be used is counted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gentool import data
from gentool.catalog.check import Checked, check_files, check_table
from gentool.cli import main
from gentool.jsonl import RecordError
from tests.test_records import call, pair, query, tool, write_lines


def other(**more: Any) -> dict[str, Any]:
    """A pair about something else than ``pair``."""
    names = ("book_train", "train_timetable")
    return pair(
        tools=[tool(names[0], description="Books a seat."), tool(names[1], description="When trains leave.")],
        derivation={"tool": names[1], "from_tool": names[0], "how": "missing_capability"},
        queries=[
            query(
                query="A seat to Oslo, please.",
                grades={names[0]: "full", names[1]: "none"},
                best=names[0],
                tool_calls=[call(names[0])],
            )
        ],
        **more,
    )


def check(tmp_path: Path, *pairs: Any, tools: tuple[Any, ...] = ()) -> Checked:
    write_lines(tmp_path / "pairs.jsonl", *pairs)
    files = [write_lines(tmp_path / "tools.jsonl", *tools)] if tools else []
    return check_files(tmp_path / "pairs.jsonl", files, "tfidf")


def rows(checked: Checked) -> dict[str, str]:
    table = check_table(checked)
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    return dict(zip([label.strip() for label in cells[0]], cells[1], strict=True))


def test_package_is_flawless() -> None:
    checked = check_files(data.PAIRS, [data.TOOLS], "tfidf")
    assert not checked.problems and len(checked.pairs) == 24 and len(checked.tools) == 152
    found = rows(checked)
    by_direction = ("stronger tool is best", "weaker tool is best", "neither is useful")
    assert sum(int(found[d]) for d in by_direction) == int(found["queries"])
    assert sum(int(n) for label, n in found.items() if label.startswith("graded")) == int(found["queries"])
    assert sum(int(n) for label, n in found.items() if label.startswith("derived by")) == 24
    assert sum(int(found[f"group {g}"]) for g in "TABU") == 24


def test_all_problems_of_all_files_are_named(tmp_path: Path) -> None:
    bad = [pair(domain=i) for i in range(30)]
    checked = check(tmp_path, *bad, other(), pair(queries=[]), tools=(tool("a.b"), tool("c"), tool("c")))
    assert len(checked.problems) == 33
    for number in range(1, 31):
        assert any(f"pairs.jsonl:{number}: domain: " in p for p in checked.problems)
    assert "pairs.jsonl:32: queries: " in checked.problems[30]
    assert "tools.jsonl:1: function.name: " in checked.problems[31]
    assert "tools.jsonl:3: the tool 'c' is in the file twice" in checked.problems[32]
    assert [p.names for p in checked.pairs] == [("book_train", "train_timetable")]
    assert [t.name for t in checked.tools] == ["c"]
    assert rows(checked)["problems"] == "33"


def test_queries_are_counted_by_direction_and_grades(tmp_path: Path) -> None:
    none = {"find_city": "none", "list_cities": "none"}
    weak = {"find_city": "partial", "list_cities": "full"}
    queries = [
        query(),
        query(query="And Bergen?"),
        query(query="All cities?", grades=weak, best="list_cities"),
        query(query="What time is it?", grades=none, best=None, tool_calls=[]),
    ]
    found = rows(check(tmp_path, pair(queries=queries)))
    assert found["queries"] == "4"
    assert found["stronger tool is best"] == found["graded full / partial"] == "2"
    assert found["weaker tool is best"] == found["graded partial / full"] == "1"
    assert found["neither is useful"] == "1"
    assert found["group assigned by the build"] == found["derived by fewer_filters"] == "1"


def test_queries_that_two_pairs_share_are_named_once(tmp_path: Path) -> None:
    again = other()
    again["queries"][0]["query"] = "where is OSLO"
    checked = check(tmp_path, pair(), again)
    (line,) = checked.alike_queries
    assert line.startswith("'Where is Oslo?' and 'where is OSLO' (")
    assert not checked.problems and rows(checked)["near-duplicate queries across pairs"] == "1"


def test_tools_that_are_alike_are_named_once(tmp_path: Path) -> None:
    like = tool("findCity", description="Another text, about trains.")
    checked = check(tmp_path, pair(), other(), tools=(like, tool("weather", description="Rain and wind.")))
    assert [line.partition(" (")[0] for line in checked.alike_tools] == ["find_city and findCity"]
    assert not checked.problems


def test_near_duplicates_on_both_sides_are_a_problem(tmp_path: Path) -> None:
    twin = other(group="U")
    twin["tools"][0] = tool("book_train", description="A city.")
    twin["tools"][0]["function"]["name"] = "find_City"
    twin["derivation"]["from_tool"] = "find_City"
    twin["queries"][0] |= {
        "grades": {"find_City": "full", "train_timetable": "none"},
        "best": "find_City",
        "tool_calls": [call("find_City")],
    }
    checked = check(tmp_path, pair(group="T"), twin)
    (line,) = checked.alike_tools
    assert "find_city" in line and "find_City" in line
    (problem,) = checked.problems
    assert "'find_city' is trained on and is a near-duplicate" in problem and "Fix: put both pairs" in problem


def test_no_pair_to_train_on_is_a_problem(tmp_path: Path) -> None:
    (problem,) = check(tmp_path, pair(group="A"), other(group="U")).problems
    assert "no pair is in group T" in problem and "Fix: " in problem
    assert not check(tmp_path, pair(group="A"), other()).problems, "the build makes it T"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"PAIRS: .*found no such file"):
        check_files(tmp_path / "absent.jsonl")
    with pytest.raises(RecordError, match=r"--tools: .*found a folder"):
        check_files(data.PAIRS, [tmp_path])


@pytest.mark.parametrize(("bad", "code"), [(False, 0), (True, 2)])
def test_command_prints_the_table_and_tells_by_its_exit_code(
    bad: bool, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_lines(tmp_path / "pairs.jsonl", pair(), *([pair(domain=1), "[x]"] if bad else []))
    words = ["gentool", "check", str(path), "--tools", "package", "--embedding", "tfidf"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code or 0) == code
    printed = capsys.readouterr()
    assert "stand-alone tools" in printed.out and "152" in printed.out
    assert printed.err.count("error: ") == (2 if bad else 0)
