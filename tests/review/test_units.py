"""The index of units, and the queue made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gentool.jsonl import RecordError, to_json
from gentool.recipe import load_config
from gentool.review.queue import make_queue
from gentool.review.review import Review
from gentool.review.units import ReviewError, Units
from gentool.synthesis.settings import settings_hash
from gentool.synthesis.templates import Prompts
from tests.review.sample_run import make_run, make_unit, pairs


def file_of(folder: Path) -> Path:
    return folder / "synthesis" / "units.jsonl"


def test_every_item_is_found_where_it_lies(tmp_path: Path) -> None:
    units = Units(file_of(make_run(tmp_path, 12)))
    assert len(units.entries) == 96
    for entry in [*units.entries.values()][::-1]:
        unit, item = units.read(entry)
        assert (item.id, item.status, item.draft.query) == (entry.item, entry.status, entry.query)
        assert unit.tools and entry.tools == (unit.tools[0].name, unit.tools[1].name)


def test_what_is_appended_is_taken_in_and_the_last_unit_of_a_seed_counts(tmp_path: Path) -> None:
    first, second = (make_unit(pair, i) for i, pair in enumerate(pairs(2)))
    path = file_of(make_run(tmp_path, units=[first]))
    units = Units(path)
    line = to_json(second)
    with path.open("a", encoding="utf-8") as out:
        out.write(line[:100])
        out.flush()
        assert units.refresh() is True and len(units.entries) == 8, "a line that is being written waits"
        out.write(line[100:] + "\nno JSON\n")
    assert units.refresh() is True and len(units.entries) == 16 and units.damaged == 1
    assert units.refresh() is False
    with path.open("a", encoding="utf-8") as out:
        out.write(
            to_json(first.model_copy(update={"items": first.items[:2], "settings": "later", "id": ""})) + "\n"
        )
    units.refresh()
    assert [e.item for e in units.entries.values() if e.line != 2] == [i.id for i in first.items[:2]]
    make_run(tmp_path, units=[second])
    units.refresh()
    assert len(units.entries) == 8


def test_units_of_other_settings_are_not_reviewed(tmp_path: Path) -> None:
    recipe = {
        "name": "mine",
        "model": {"random_init": {}},
        "synthesis": {"tools": "t.jsonl", "teacher": "rules"},
    }
    recipe["synthesis"]["require_review"] = True  # type: ignore[index]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    config = load_config(tmp_path / "config.yaml")
    assert config.synthesis
    settings = settings_hash(config.synthesis, Prompts(None), config.seed)
    old, new = (make_unit(pair, i) for i, pair in enumerate(pairs(2)))
    make_run(tmp_path, units=[old, new.model_copy(update={"settings": settings, "id": ""})])
    review = Review(tmp_path, "ada")
    assert set(review.units.entries) == {item.id for item in new.items}
    accepted = next(e for e in review.queue.part("accepted"))
    assert review.item(accepted.item)["outcome"] == "waits for a decision", (
        "nothing is trained on without one"
    )


def test_the_sample_is_the_same_for_all_and_grows_from_its_front(tmp_path: Path) -> None:
    entries = list(Units(file_of(make_run(tmp_path, 30))).entries.values())
    queue = make_queue(entries, 20, seed=3)
    assert [e.item for e in queue.part("sample")] == [
        e.item for e in make_queue(entries[::-1], 20, 3).part("sample")
    ]
    assert [e.item for e in queue.part("sample")] != [
        e.item for e in make_queue(entries, 20, 4).part("sample")
    ]
    larger = make_queue(entries, 40, seed=3)
    assert [e.item for e in larger.part("sample")][:20] == [e.item for e in queue.part("sample")]
    assert queue.to_review == queue.disagreed + 20 == 60 + 20
    assert len({e.tools for e in queue.part("sample")}) > 10, "it is drawn from everywhere"
    assert make_queue(entries, None, 3).to_review == 60 + 150
    assert make_queue(entries, 0, 3).part("sample") == ()
    assert len(queue.entries) == len({e.item for e in queue.entries}) == 240
    assert [e.status for e in queue.part("disagreed")] == ["disagreed"] * 60


def test_folders_without_units_and_bad_units_are_named(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"units\.jsonl: cannot be read.*synthesize"):
        Review(tmp_path, "ada")
    (tmp_path / "synthesis").mkdir()
    file_of(tmp_path).write_text('{"settings": "x"}\n')
    with pytest.raises(RecordError, match=r"units\.jsonl:1: seed"):
        Review(tmp_path, "ada")
    file_of(tmp_path).write_text("")
    assert Review(tmp_path, "ada").run()["counts"]["all"] == 0
