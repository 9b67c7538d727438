"""The report of a small run: what it shows, that it is safe, and that it works in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tiny_run import HOSTILE, MODELS, SEEDS, STRONG, WEAK, make_run

from gentool.evaluation.metrics import METRICS
from gentool.records import SCENARIOS, TRANSITIONS
from gentool.report import explorer
from gentool.report.explorer import script_json
from gentool.report.labels import METRIC_LABELS, SCENARIO_LABELS, TRANSITION_LABELS, percent
from gentool.report.write import ReportError, write_report


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
    calls = [a["c"][1] for a in page_data(page)["answers"]["gentool"]["0"].values() if "c" in a]
    assert any("12345678901234567890" in c for c in calls)


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
        "confusion-seen_query_seen_tool",
    ):
        assert f'<title id="{identity}-title">' in page and f'<desc id="{identity}-desc">' in page
    for panel in ("loss-sft-select", "loss-gentool-rank", "loss-gentool-select"):
        drawing = page.split(f'<title id="{panel}-title">')[1].split("</svg>")[0]
        assert drawing.count('class="line"') == len(SEEDS)


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


CHROMIUM = next((c for c in ("chromium", "chromium-browser", "google-chrome") if shutil.which(c)), None)


def open_page(path: Path, fragment: str, profile: Path) -> tuple[str, str]:
    """The page's DOM after its script ran, and what the console said."""
    assert CHROMIUM
    switches = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
            "--dump-dom",
            f"--user-data-dir={profile}",
        ),
    ]
    done = subprocess.run(
        [CHROMIUM, *switches, path.as_uri() + fragment],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_in_a_browser(run_folder: Path, page: str, tmp_path: Path) -> None:
    scenario = "unseen_query_seen_tool"
    wanted = [c for c in page_data(page)["cases"] if SCENARIOS[c["s"]] == scenario and c["t"] == 2]
    chosen = wanted[1]["id"]
    fragment = (
        f"#scenario={scenario}&transition=weak_to_strong&model=gentool&outcome=best&seed=1&case={chosen}"
    )
    dom, console = open_page(run_folder / "report.html", fragment, tmp_path)
    assert 'data-ready="true"' in dom
    assert not console
    explorer = dom.split('id="explorer"')[1].split('<script type="application/json"')[0]
    assert len(re.findall(r"<li><a [^>]*data-case=", explorer)) == len(wanted) == 2
    assert f"2 of {page_data(page)['total']} examples" in explorer
    assert f'data-case="{chosen}"' in explorer.split("<article")[1]
    for words in (
        "Example 2 of 2",
        WEAK.name,
        STRONG.name,
        "constructor",
        "__proto__",
        "Could not be read",
        "seed 1",
    ):
        assert words in explorer
    assert html.escape("</script><img src=x onerror=alert(1)>", quote=False) in explorer
    assert "<img" not in dom and "<b>bold" not in dom
