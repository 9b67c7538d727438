"""The YAML that people write, read into records."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentool.dataset.compile import compiled, packed
from gentool.dataset.source import SourceError, scan_pairs, scan_tools
from gentool.dataset.written import main, pair_remarks

PAIR = """\
- how: fewer_filters
  note: no colours
  strong:
    name: find_paint
    description: Paints by colour and price.
    parameters:
      colour!: {type: string}
      at_most: {type: number}
    further: {additionalProperties: false}
  weak:
    name: paint-list
    parameters: {}
  queries:
  - q: something red under 20 for the shed
    now: 2026-03-02T12:30
    strong: full
    weak: partial
    best: strong
    why: colour and price
    calls:
      strong: {colour: red, at_most: 20}
      weak: {}
    alternatives:
      strong: {colour: [dark red, null]}
"""


def write(folder: Path, text: str, kind: str = "pairs") -> Path:
    path = folder / kind / "crafts.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_written_pair_becomes_a_record(tmp_path: Path) -> None:
    pairs, problems = scan_pairs(write(tmp_path, PAIR.replace("[dark red, null]", "[dark red]")))
    assert problems == []
    (pair,) = pairs
    assert pair.domain == "crafts" and pair.names == ("find_paint", "paint-list")
    assert pair.tools[0].parameters == {
        "type": "object",
        "properties": {"colour": {"type": "string"}, "at_most": {"type": "number"}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    assert pair.tools[1].parameters == {"type": "object", "properties": {}}
    (query,) = pair.queries
    assert query.now == "2026-03-02T12:30" and query.best == "find_paint"
    assert query.call_of("find_paint").arguments == {"colour": "red", "at_most": 20}
    assert query.alternatives == {"find_paint": {"colour": ["dark red"]}}
    assert (pair.derivation.tool, pair.derivation.from_tool) == ("paint-list", "find_paint")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("best: strong", "best: weak", "expected `best` to be a tool graded full"),
        ("{colour: red, at_most: 20}", "{at_most: 20}", "'colour' is a required property"),
        (
            "{colour: red, at_most: 20}",
            "{colour: red, at_most: cheap}",
            "at_most: 'cheap' is not of type 'number'",
        ),
        ("why: colour", "wy: colour", "Extra inputs"),
        ("how: fewer_filters", "how: worse", "Input should be"),
        ("[dark red, null]", "[dark red, 7]", "alternatives.find_paint.colour: colour: 7 is not of type"),
    ],
)
def test_a_fault_is_named_with_its_entry(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = PAIR.replace(old, new)
    assert text != PAIR
    _, problems = scan_pairs(write(tmp_path, text))
    assert any(said in p and "entry 1 (find_paint)" in p for p in problems), problems


def test_a_text_torn_at_a_comma_is_told(tmp_path: Path) -> None:
    text = PAIR.replace("{type: number}", "{type: number, description: Euros, at most}")
    _, problems = scan_pairs(write(tmp_path, text))
    assert any("'at most': expected a value; put texts with commas in quotes" in p for p in problems)


def test_a_near_miss_has_no_useful_tool(tmp_path: Path) -> None:
    _, problems = scan_pairs(write(tmp_path, PAIR.replace("  queries:\n", "  queries: []\n  near_misses:\n")))
    assert "expected no tool to be useful" in problems[0]


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a list of entries"):
        scan_pairs(write(tmp_path, "pairs: 3\n"))
    with pytest.raises(SourceError, match=r"crafts.yaml:2:1: expected YAML"):
        scan_pairs(write(tmp_path, "- {a: [\n"))


def test_stand_alone_tools(tmp_path: Path) -> None:
    text = "- name: glue_guide\n  split: test\n  parameters: {of!: {type: string}}\n- name: 'no good'\n"
    tools, problems = scan_tools(write(tmp_path, text, "tools"))
    assert [(t.name, t.split, t.domain) for t in tools] == [("glue_guide", "test", "crafts")]
    assert len(problems) == 1 and "entry 2" in problems[0]


def test_remarks_tell_a_writer_what_a_pair_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PAIR.replace("something red", "Find-Paint tomorrow, something red").replace(
        "[dark red, null]", "[dark red]"
    )
    (pair,) = scan_pairs(write(tmp_path, text))[0]
    said = "\n".join(pair_remarks(pair))
    assert (
        "found {'strong': 1, 'weak': 0}" in said
        and "near miss" in said
        and "names the tool 'find_paint'" in said
    )
    assert main([str(tmp_path / "pairs" / "crafts.yaml")]) == 1
    assert "word overlap finds" in capsys.readouterr().out


def test_relative_dates_need_a_now(tmp_path: Path) -> None:
    text = PAIR.replace("[dark red, null]", "[dark red]").replace("    now: 2026-03-02T12:30\n", "")
    dated = text.replace("something red", "by next Friday something red").replace(
        "colour: red", "colour: 2026-03-06"
    )
    (pair,) = scan_pairs(write(tmp_path, dated))[0]
    assert any("without `now`" in r for r in pair_remarks(pair))
    (pair,) = scan_pairs(write(tmp_path, text))[0]
    assert not any("without `now`" in r for r in pair_remarks(pair))


def test_compiling_gives_the_same_bytes_and_stops_on_a_fault(tmp_path: Path) -> None:
    write(tmp_path, PAIR.replace("[dark red, null]", "[dark red]"))
    assert compiled(tmp_path) == compiled(tmp_path)
    assert set(compiled(tmp_path)) == {"pairs.jsonl.gz", "tools.jsonl.gz", "readings.jsonl.gz", "README.md"}
    assert packed([]) == packed([])
    write(tmp_path, PAIR.replace("colour: red,", ""))
    with pytest.raises(SourceError, match="'colour' is a required property"):
        compiled(tmp_path)
