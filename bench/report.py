"""How fast a report of many predictions opens and filters, in headless Chromium.

    python bench/report.py [--predictions 10000 60000] [--repeats 5] [--out bench/results/report.json]

Makes a run of that many invented predictions (tests/report/tiny_run.py), writes its report and opens it: milliseconds
from the start of loading until the explorer is ready, and from a change of a filter until the list is laid out anew.
The search waits for 100 ms without a key, which is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gentool.report.write import write_report

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.report.browser import Browser
from tests.report.tiny_run import make_run

PER_PAIR = 130
"""Predictions that the invented run has for each pair of a scenario, all models and seeds together."""
CHANGES = [
    ("scenario", "unseen_query_unseen_tool"),
    ("class", "extra_argument"),
    ("class", "wrong"),
    ("scenario", ""),
    ("class", ""),
    ("transition", "weak_to_strong"),
    ("model", "gentool"),
    ("seed", "1"),
    ("model", ""),
    ("transition", ""),
    ("a", "sft"),
    ("b", "gentool"),
    ("ab", "differ"),
    ("ab", "b_right"),
    ("b", ""),
    ("q", "unseen_query_seen_tool forecast"),
    ("q", ""),
]
# Until the list has other nodes and the page is laid out.
CHANGE = """new Promise((done) => {
  const begun = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    document.body.getBoundingClientRect();
    done(performance.now() - begun);
  }).observe(document.getElementById("cases"), {childList: true});
  const field = document.getElementById("filters").elements[%s];
  field.value = %s;
  field.dispatchEvent(new Event("input", {bubbles: true}));
})"""


def measure(predictions: int, repeats: int, folder: Path) -> dict[str, Any]:
    """The times of a report of so many predictions."""
    run = make_run(folder / "run", pairs=max(2, -(-predictions // PER_PAIR)))
    written = sum(len(p.read_bytes().splitlines()) for p in (run / "predictions").rglob("*.jsonl"))
    begun = time.perf_counter()
    path = write_report(run)
    seconds = time.perf_counter() - begun
    ready, select, search = [], [], []
    with Browser(folder / "browser") as browser:
        chromium = browser.send("Browser.getVersion")["product"]
        for _ in range(repeats):
            browser.open(path)
            ready.append(browser.run("performance.getEntriesByName('ready')[0].startTime"))
            cases = browser.run("document.getElementById('count').textContent")
            for name, value in CHANGES:
                took = browser.run(CHANGE % (json.dumps(name), json.dumps(value)))
                (search if name == "q" else select).append(took)
    return {
        "predictions": written,
        "cases": int(cases.split()[0]),
        "page_megabytes": round(path.stat().st_size / 1e6, 1),
        "write_seconds": round(seconds, 2),
        "ready_ms": _summary(ready),
        "filter_ms": _summary(select),
        "search_ms": _summary(search),
        "browser": chromium,
    }


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 1), "max": round(max(values), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, nargs="+", default=[10_000, 60_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("bench/results/report.json"))
    options = parser.parse_args()
    results = []
    for number in options.predictions:
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(number, options.repeats, Path(folder)))
    result = {
        "what": "milliseconds until the report is ready, and until the list is redrawn after a change of a filter",
        "repeats": options.repeats,
        "results": results,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs",
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
