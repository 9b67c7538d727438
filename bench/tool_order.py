"""One order of tools for each list and epoch, which prefixes can share, against one for each sample: what does it cost?

    python bench/tool_order.py            # writes bench/results/tool_order.json; about a quarter of an hour on 2 cores

Trains the demo's model both ways with several seeds and compares tool selection on seen tools, at which place the
chosen tool stood (position bias), and the seconds of training. It says nothing where a model calls no tool at all,
as the demo's model, made from nothing, does: `calls` is the number of tools that were called. What was measured is
kept in the file as it lands; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gentool.evaluation.predict import read_predictions
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.records import GENERATE_RESPONSE

ARMS = {
    "one order a list, shared prefixes": {"train.tool_order": "list", "train.shared_prefix": "auto"},
    "one order a list, plain batches": {"train.tool_order": "list", "train.shared_prefix": "off"},
    "one order a list, samples shuffled, plain batches": {
        "train.tool_order": "list",
        "train.batches": "shuffled",
        "train.shared_prefix": "off",
    },
    "one order a sample, samples shuffled, plain batches": {
        "train.tool_order": "sample",
        "train.batches": "shuffled",
        "train.shared_prefix": "off",
    },
}
SCENARIOS = ("seen_query_seen_tool", "unseen_query_seen_tool")


def places(folder: Path, slots: int) -> list[int]:
    """How often each place held a tool that was called (the default tool aside), over scenarios with seen tools."""
    counts: Counter[int] = Counter()
    for scenario in SCENARIOS:
        for prediction in read_predictions(folder / "predictions" / "gentool" / f"{scenario}.jsonl"):
            call = prediction.tool_call if prediction.task == "select" else None
            if call and call.name != GENERATE_RESPONSE:
                counts[prediction.shown.index(call.name)] += 1
    return [counts[i] for i in range(slots)]


def measure(settings: dict[str, str], seed: int, more: list[str]) -> dict[str, Any]:
    """One run of the arm gentool."""
    given = [f"{key}={value}" for key, value in settings.items()]
    config = load_config(
        Path("recipes/demo.yaml"),
        ["train.arms=[gentool]", "evaluate.models=[gentool]", f"seeds=[{seed}]", *more, *given],
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run(config, Path(folder), Progress())
        run.until("evaluate")
        scores = json.loads((run.folder / "scores.json").read_text(encoding="utf-8"))
        stages = [
            json.loads((run.folder / f"stages/gentool/seed-{seed}/{name}/stage.json").read_text())["metrics"]
            for name in ("rank", "select")
        ]
        counts = places(run.folder, config.scenarios.k + 1)
    total = sum(counts)
    return {
        "tool_selection": {
            s: round(scores["models"]["gentool"][s]["all"]["tool_selection"]["value"], 3) for s in SCENARIOS
        },
        "last_loss": round(stages[-1]["last_loss"], 3),
        "seconds": round(sum(s["seconds"] for s in stages), 1),
        "token_ratio": [s["token_ratio"] for s in stages],
        "calls": total,
        "places": counts,
        "distance_from_uniform": round(sum(abs(c / total - 1 / len(counts)) for c in counts) / 2, 3)
        if total
        else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench/results/tool_order.json"))
    parser.add_argument("--set", dest="settings", action="append", default=[], help="change the demo recipe")
    options = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ARMS}
    if options.out.exists():
        before = json.loads(options.out.read_text(encoding="utf-8"))
        if before["settings"] == options.settings:
            runs |= before["runs"]
    for seed in range(options.seeds):
        for name, settings in ARMS.items():
            if len(runs[name]) <= seed:
                runs[name].append(measure(settings, seed, options.settings))
                print(name, json.dumps(runs[name][-1]), flush=True)
                write(runs, options.settings, options.out)
    print(json.dumps(write(runs, options.settings, options.out)["median"], indent=2))


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what there is."""
    found = [v for v in values if v is not None]
    return statistics.median(found) if found else None


def write(runs: dict[str, list[dict[str, Any]]], settings: list[str], out: Path) -> dict[str, Any]:
    """What was measured so far, as it is kept."""
    result = {
        "what": "the gentool arm by order of tools and batches; tool selection on seen tools, places of called tools",
        "settings": settings,
        "runs": runs,
        "median": {
            name: {
                "seconds": middle(r["seconds"] for r in found),
                "distance_from_uniform": middle(r["distance_from_uniform"] for r in found),
                **{s: middle(r["tool_selection"][s] for r in found) for s in SCENARIOS},
            }
            for name, found in runs.items()
        },
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in ("torch", "transformers")},
    }
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
