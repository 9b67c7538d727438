"""The report of a small run: what it shows, that it is safe, and that it works in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from gentool.evaluation.errors import CLASSES
from gentool.evaluation.metrics import METRICS
from gentool.records import SCENARIOS, TRANSITIONS
from gentool.report import explorer
from gentool.report.explorer import script_json
from gentool.report.labels import METRIC_LABELS, SCENARIO_LABELS, TRANSITION_LABELS, percent
from gentool.report.write import ReportError, write_report
from tests.report.tiny_run import HOSTILE, MODELS, SEEDS, make_run


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run_folder: Path) -> str:
    path = write_report(run_folder)
    assert path == run_folder / "report.html"
    return path.read_text(encoding="utf-8")


def page_data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    value = json.loads(found[1])
    assert isinstance(value, dict)
    return value


def rows(page: str, metric: str) -> dict[tuple[str, str], list[str]]:
    """(scenario, transition) -> the cells of a metric's table as text."""
    table = re.split(r'<div class="metric-table" data-metric="', page.split("</section>")[0])
    part = next(t for t in table if t.startswith(f'{metric}"'))
    found = {}
    for scenario, body in re.findall(r'<tbody data-scenario="(\w+)">(.*?)</tbody>', part, re.DOTALL):
        for transition, row in re.findall(r'<tr data-transition="(\w+)"[^>]*>(.*?)</tr>', body, re.DOTALL):
            cells = re.findall(r"<td.*?</td>", row, re.DOTALL)
            found[scenario, transition] = [" ".join(re.sub(r"<[^>]+>", " ", c).split()) for c in cells]
    return found


def test_every_scenario_transition_model_and_metric_appears(page: str) -> None:
    for label in (*SCENARIO_LABELS.values(), *TRANSITION_LABELS.values(), *METRIC_LABELS.values(), *MODELS):
        assert label in page
    for metric in METRICS:
        assert set(rows(page, metric)) == {(s, t) for s in SCENARIOS for t in (*TRANSITIONS, "all")}


@pytest.mark.parametrize("metric", METRICS)
def test_values_equal_the_scores(page: str, run_folder: Path, metric: str) -> None:
    scores = json.loads((run_folder / "scores.json").read_text())
    for (scenario, transition), cells in rows(page, metric).items():
        expected = [scores["models"][m][scenario][transition][metric] for m in MODELS]
        for shown, cell in zip(cells, expected, strict=False):
            if cell["value"] is None:
                assert shown == "–"
            else:
                interval = f"{percent(cell['low'])}–{percent(cell['high'])}"
                assert shown.startswith(f"{interval} {percent(cell['value'])}")
                size = f"{cell['n_pairs']} / {cell['n_queries']}"
                assert size in cells[-1] or f"n {size}" in shown
    comparison = scores["comparisons"][0]
    assert "gentool − sft" in page and f"+{percent(comparison['delta'])}" in page


def test_summary_says_what_was_run(page: str) -> None:
    for words in (
        "tiny-run",
        "20 November 2026, 10:01 UTC",
        "two_pass",
        "tfidf",
        "T 2, A 2, B 2, U 2",
        "qwen3",
    ):
        assert words in page
    assert "22 of 22" in page  # probes asked
    assert "Linux x86_64, 2 CPUs" in page


def test_small_runs_are_called_small(page: str) -> None:
    notice = re.search(r'<div class="notice" id="too-small".*?</div>', page, re.DOTALL)
    assert notice and "too small to show an effect" in notice[0]
    assert "weak-to-strong" in notice[0] and "holds 0 pairs" in " ".join(notice[0].split())
    assert "no verdict: too few pairs" in page


def test_hostile_text_is_inert(page: str) -> None:
    assert "<img" not in page
    assert page.count("<script") == page.count("</script>") == 2
    assert "\u2028" not in page
    data = page_data(page)
    texts = [a["x"] for m in data["answers"].values() for s in m.values() for a in s.values()]
    assert HOSTILE in texts  # all there, only escaped
    assert json.loads(script_json({"x": HOSTILE + "\ud800"})) == {"x": HOSTILE + "\ud800"}


def test_needs_nothing_from_elsewhere(page: str) -> None:
    outside = page.replace(json.dumps(page_data(page)), "")
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?\s*(?:https?:)?//""", outside)
    assert not re.search(r"url\(|@import|https?://", outside)
    assert "default-src 'none'" in page


def test_each_tool_is_embedded_once(page: str) -> None:
    data = page_data(page)
    assert page.count("Weather of today.") == 1
    assert {i for s in data["sets"].values() for i in s["tools"]} == set(data["tools"])
    assert len(data["cases"]) == data["total"] == 22


def test_large_numbers_survive(page: str) -> None:
    """JSON in a browser rounds them, so calls are embedded as text."""
    answers = page_data(page)["answers"]["gentool"]["0"].values()
    assert ["big", "12345678901234567890"] in [pair for a in answers if "c" in a for pair in a["c"][1]]


def test_large_runs_show_whole_queries(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "large"
    shutil.copytree(run_folder, folder)
    monkeypatch.setattr(explorer, "MAX_ANSWERS", 120)
    data = page_data(write_report(folder).read_text(encoding="utf-8"))
    assert 0 < len(data["cases"]) < data["total"] == 22
    assert all(len(rows) == len(data["cases"]) for m in data["results"].values() for rows in m.values())
    assert {SCENARIOS[c["s"]] for c in data["cases"]} == set(SCENARIOS)


def test_plots_are_drawn_and_described(page: str) -> None:
    for identity in (
        "bars-arrival-zero",
        "bars-tool_selection-weak_to_strong",
        "classes-seen_query_seen_tool",
    ):
        assert f'<title id="{identity}-title">' in page and f'<desc id="{identity}-desc">' in page
    for panel in ("loss-sft-select", "loss-gentool-rank", "loss-gentool-select"):
        drawing = page.split(f'<title id="{panel}-title">')[1].split("</svg>")[0]
        assert drawing.count('class="line"') == len(SEEDS)


def test_classes_are_counted_over_all_seeds(page: str) -> None:
    table = page.split('id="classes"')[1].split("</table>")[0]
    counts = {}
    for name, row in re.findall(r'<tr data-class="(\w+)">(.*?)</tr>', table, re.DOTALL):
        cells = [" ".join(re.sub(r"<[^>]+>", " ", c).split()) for c in re.findall(r"<td.*?</td>", row)]
        counts[name] = [int(c.split()[-1]) for c in cells]
    assert set(counts) == set(CLASSES)
    # One seed of base, two of the others.
    assert [sum(column) for column in zip(*counts.values(), strict=True)] == [22, 44, 44]
    assert counts["malformed"] == [22, 0, 0]
    # sft: with odd pairs the plainer tool where the richer is, and a distractor where nothing suits.
    assert counts["weak_for_strong"] == [0, 2 * 3, 0]
    assert counts["distractor"] == [0, 2 * 4, 0]
    plot = page.split('<title id="classes-unseen_query_seen_tool-title">')[1].split("</svg>")[0]
    assert "sft: sibling 16.7 % (2 of 12)" in plot


def test_without_pairs_the_derivation_is_missing(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "scenarios" / "pairs.jsonl").unlink()
    assert "<code>scenarios/pairs.jsonl</code>" in write_report(folder).read_text(encoding="utf-8")


def test_complete_runs_miss_nothing(page: str) -> None:
    assert 'id="missing"' not in page


def test_one_output(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path, joint=True)).read_text(encoding="utf-8")
    answers = page_data(page)["answers"]["gentool"]["0"]
    assert all(key.startswith("joint|") for key in answers)
    assert any("r" in a and "c" in a for a in answers.values())
    assert "loss-gentool-joint" in page and 'id="missing"' not in page


def test_missing_parts_are_named(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "partial"
    shutil.copytree(run_folder, folder)
    (folder / "predictions" / "sft" / "seen_query_seen_tool.jsonl").unlink()
    shutil.rmtree(folder / "stages" / "gentool" / "seed-1" / "rank")
    shutil.rmtree(folder / "predictions" / "gentool")
    (folder / "lineage.json").unlink()
    (folder / "scenarios" / "summary.json").unlink()
    (folder / "scenarios" / "unseen_query_seen_tool.jsonl").unlink()
    scores = json.loads((folder / "scores.json").read_text())
    del scores["models"]["base"]
    del scores["models"]["gentool"]["seen_query_seen_tool"]
    (folder / "scores.json").write_text(json.dumps(scores))
    cut = folder / "predictions" / "sft" / "unseen_query_unseen_tool.jsonl"
    cut.write_bytes(cut.read_bytes()[:-20])
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "report.html"}
    page = html.unescape(write_report(folder).read_text(encoding="utf-8"))
    for part in (
        "predictions/sft/seen_query_seen_tool.jsonl",
        "predictions/gentool/unseen_query_unseen_tool.jsonl",
        "stages/gentool/seed-1/rank",
        "lineage.json",
        "scenarios/summary.json",
        "scenarios/unseen_query_seen_tool.jsonl",
        "scores of the model base",
    ):
        assert f"<code>{part}</code>" in page
    assert before == {p: p.read_bytes() for p in before}, "the report changes nothing but itself"


def test_without_predictions_scores_are_shown(run_folder: Path, tmp_path: Path) -> None:
    for name in ("config.yaml", "scores.json"):
        shutil.copy(run_folder / name, tmp_path / name)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert page_data(page)["cases"] == []
    assert "No predictions were found." in page and "No training log was found." in page


def test_folders_without_scores_are_refused(run_folder: Path, tmp_path: Path) -> None:
    for folder, words in ((tmp_path / "nowhere", "does not exist"), (tmp_path, "config.yaml")):
        with pytest.raises(ReportError, match=words) as error:
            write_report(folder)
        assert str(folder) in str(error.value) and "gentool run RECIPE" in str(error.value)
    shutil.copy(run_folder / "config.yaml", tmp_path / "config.yaml")
    with pytest.raises(ReportError, match=r"no scores\.json.*gentool run RECIPE"):
        write_report(tmp_path)
    (tmp_path / "scores.json").write_text("{")
    with pytest.raises(ReportError, match="not valid JSON"):
        write_report(tmp_path)
    (tmp_path / "scores.json").write_text('{"schema": "other"}')
    with pytest.raises(ReportError, match="expected schema"):
        write_report(tmp_path)
