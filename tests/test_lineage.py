"""What a run folder remembers of its steps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gentool.lineage import Lineage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "out.txt"
    path.write_text("made")
    return path


def test_a_step_is_done_while_inputs_and_outputs_are_as_recorded(tmp_path: Path, output: Path) -> None:
    lineage = Lineage(tmp_path / "lineage.json")
    assert not lineage.done("build", {"k": 1}, [output])
    lineage.record("build", {"k": 1}, [output], 0, NOW)
    again = Lineage(tmp_path / "lineage.json")
    assert again.done("build", {"k": 1}, [output])
    assert not again.done("build", {"k": 2}, [output])
    output.write_text("changed")
    assert not again.done("build", {"k": 1}, [output])


def test_a_step_that_begins_anew_is_not_done_until_it_is_recorded(tmp_path: Path, output: Path) -> None:
    lineage = Lineage(tmp_path / "lineage.json")
    lineage.record("base", "seed 0", [output], 0, NOW)
    lineage.record("build", "seed 0", [output], 0, NOW)
    lineage.begin("base")  # with seed 1, and is killed; then seed 0 is asked for again
    again = Lineage(tmp_path / "lineage.json")
    assert not again.done("base", "seed 0", [output])
    assert again.done("build", "seed 0", [output])
    lineage.begin("never recorded")


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"build": 3}', '{"build": {}', "\x00\x00", "[" * 100_000, "null"]
)
def test_a_damaged_file_counts_as_empty_and_is_replaced(tmp_path: Path, output: Path, text: str) -> None:
    path = tmp_path / "lineage.json"
    path.write_text(text)
    lineage = Lineage(path)
    assert not lineage.read() and lineage.steps == {}
    assert not lineage.done("build", 1, [output])
    lineage.record("build", 1, [output], 0, NOW)
    assert list(json.loads(path.read_text())) == ["build"] and lineage.read()


def test_an_entry_without_hashes_is_not_done(tmp_path: Path, output: Path) -> None:
    (tmp_path / "lineage.json").write_text('{"build": {}}')
    lineage = Lineage(tmp_path / "lineage.json")
    assert lineage.read() and not lineage.done("build", 1, [output])


def test_no_file_is_no_damage(tmp_path: Path) -> None:
    assert Lineage(tmp_path / "lineage.json").read()
