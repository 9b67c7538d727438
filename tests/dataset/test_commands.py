"""``gentool data``, on the files that are shipped and on small ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gentool import data
from gentool.catalog.pairs import read_pairs, read_tools
from gentool.cli import app
from gentool.config import ConfigError
from gentool.dataset.checks import check_dataset
from gentool.dataset.commands import chosen
from gentool.dataset.compile import compiled
from gentool.dataset.readings import Reading
from gentool.jsonl import read_jsonl
from gentool.recipe import load_config

PAIRS = data.OPEN / "pairs.jsonl.gz"


def run(*words: str) -> str:
    found = CliRunner().invoke(app, ["data", *words])
    assert found.exit_code == 0, found.output
    return found.output


def test_pairs_are_chosen_by_all_that_is_asked() -> None:
    pairs = read_pairs(PAIRS)
    some = chosen(pairs, domain=["travel", "weather"], how=["older_version"])
    assert some and {(p.domain, p.derivation.how) for p in some} <= {
        ("travel", "older_version"),
        ("weather", "older_version"),
    }
    assert all(p.challenge and p.group == "U" for p in chosen(pairs, challenge=True))
    assert [p.names for p in chosen(pairs, find=pairs[3].names[1].upper())] == [pairs[3].names]
    with pytest.raises(ConfigError, match=r"--domain: expected one of .*travel.*; found 'trvel'"):
        chosen(pairs, domain=["trvel"])


def test_show_prints_tools_queries_and_calls() -> None:
    text = run("show", "--domain", "travel", "-n", "2")
    assert text.count("strong:") == 2 and "best:" in text and "2 of 10 pairs" in text
    assert run("show", "--sample", "3") == run("show", "--sample", "3") != run("show", "--sample", "4")


def test_what_is_exported_can_be_built_from(tmp_path: Path) -> None:
    run("export", "--domain", "travel", "--out", str(tmp_path))
    pairs, tools = read_pairs(tmp_path / "pairs.jsonl"), read_tools(tmp_path / "tools.jsonl")
    assert {p.domain for p in pairs} == {t.domain for t in tools} == {"travel"}


def test_a_recipe_names_the_dataset(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\ndata: gentool-open\n")
    config = load_config(recipe)
    assert (config.data.pairs, config.data.tools) == ("gentool-open", "gentool-open")
    assert data.pairs_file("gentool-open") == PAIRS and PAIRS.is_file()


def test_what_is_shipped_is_compiled_from_the_sources() -> None:
    source = Path(__file__).parents[2] / "dataset"
    made = compiled(source, card=False)
    assert made == {name: (data.OPEN / name).read_bytes() for name in made}
    assert set(made) == {"pairs.jsonl.gz", "tools.jsonl.gz", "readings.jsonl.gz"}


def test_the_shipped_dataset_passes_its_checks_and_the_card_has_its_figures() -> None:
    readings = read_jsonl(Reading, data.OPEN / "readings.jsonl.gz")
    checked = check_dataset(
        read_pairs(PAIRS), read_tools(data.OPEN / "tools.jsonl.gz"), readings, embedding=False
    )
    assert checked.problems == []
    card = (data.OPEN / "README.md").read_text(encoding="utf-8")
    for name in ("lexical_ranker_accuracy", "tools_only_accuracy", "agreement"):
        assert f"{100 * checked.figures[name]:.1f} %" in card
    assert f"{checked.figures['queries']:,}" in card


def test_check_fails_and_still_ends_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(data.OPEN, tmp_path / "open")
    from gentool.dataset.compile import packed

    pairs = read_pairs(PAIRS)[:12]
    (tmp_path / "open" / "pairs.jsonl.gz").write_bytes(packed(pairs))
    monkeypatch.setattr(data, "OPEN", tmp_path / "open")
    found = CliRunner().invoke(app, ["data", "check"])
    assert found.exit_code == 2
    figures = json.loads(found.stdout.strip().splitlines()[-1])
    assert figures["pairs"] == 12 and figures["invalid_calls"] == 0
    assert list(figures) == [
        "pairs",
        "queries",
        "domains",
        "agreement",
        "kappa",
        "lexical_ranker_accuracy",
        "tools_only_accuracy",
        "invalid_calls",
    ]
    assert "pairs: expected at least 240; found 12" in found.output


def test_the_dataset_is_built_by_name_in_its_fixed_split(tmp_path: Path) -> None:
    recipe = tmp_path / "open.yaml"
    recipe.write_text("name: open\ndata: gentool-open\nscenarios: {embedding: tfidf}\n")
    found = CliRunner().invoke(app, ["build", str(recipe), "--runs", str(tmp_path)])
    assert found.exit_code == 0, found.output
    summary = json.loads((tmp_path / "open" / "scenarios" / "summary.json").read_text())
    given = {p.id: p.group for p in read_pairs(PAIRS)}
    built = {p.id: p.group for p in read_pairs(tmp_path / "open" / "scenarios" / "pairs.jsonl")}
    assert built == given
    rows = {row["file"]: row for row in summary["rows"]}
    for name in ("seen_query_unseen_tool", "unseen_query_unseen_tool"):
        assert min(rows[name][t] for t in ("zero", "zero_to_one", "weak_to_strong")) >= 100
    assert rows["dev"]["pairs"] == 20
