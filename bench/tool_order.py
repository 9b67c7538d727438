"""One order of tools for each list and epoch, which prefixes can share, against one for each sample: what does it cost?

    python bench/tool_order.py            # writes bench/results/tool_order.json; half an hour on 2 cores

Trains a model on a slice of the procedural pairs in several ways, with several seeds: on the same samples in the same
number of steps, and once in about the same time. Compared are tool selection, arrival of unseen tools, position bias
(where the called tools stood, and how often the right tool is called by the place where it stands), and the seconds of
training. What was measured is kept in the file as it lands; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gentool.evaluation.predict import read_predictions
from gentool.evaluation.scores import ENDPOINT_CELLS
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import make_config
from gentool.records import GENERATE_RESPONSE, SCENARIOS

RECIPE: dict[str, Any] = {
    "name": "tool-order",
    "data": "procedural",
    "scenarios": {"embedding": "tfidf", "train_pairs": 40, "train_queries": 4},
    "train": {
        "arms": ["gentool"],
        "epochs": 0.5,
        "learning_rate": 1e-3,
        "batch_size": 16,
        "micro_batch_size": 16,
    },
    "evaluate": {
        "models": ["gentool"],
        "rank": False,
        "max_prompts": 800,
        "max_new_tokens": 96,
        "batch_size": 32,
    },
}

WAYS: dict[str, dict[str, Any]] = {
    "one order a list, shared prefixes": {"tool_order": "list", "shared_prefix": "auto"},
    "one order a list, shared prefixes, at most 4 samples of a list together": {
        "tool_order": "list",
        "shared_prefix": "auto",
        "group_size": 4,
    },
    "one order a list, shared prefixes, three times the epochs": {
        "tool_order": "list",
        "shared_prefix": "auto",
        "epochs": 1.5,
    },
    "one order a list, samples shuffled, plain batches": {
        "tool_order": "list",
        "batches": "shuffled",
        "shared_prefix": "off",
    },
    "one order a sample, samples shuffled, plain batches": {
        "tool_order": "sample",
        "batches": "shuffled",
        "shared_prefix": "off",
    },
}


def places(run: Run) -> tuple[list[int], list[int], list[int]]:
    """For each place: how often a tool that stood there was called, was right, and was called and right.

    The default tool aside, over all scenarios.
    """
    tools = run.tools()
    right = {}
    for probe in run.probes():
        for tool_set in (probe.before, probe.after):
            useful = probe.query.useful([tools[i].name for i in tool_set.tools])
            right[probe.query.id, tool_set.id] = useful[0] if useful else GENERATE_RESPONSE
    slots = run.config.scenarios.k + 1
    called, wanted, hit = [0] * slots, [0] * slots, [0] * slots
    for scenario in SCENARIOS:
        for prediction in read_predictions(run.folder / "predictions" / "gentool" / f"{scenario}.jsonl"):
            gold = right[prediction.query_id, prediction.tool_set]
            name = prediction.tool_call.name if prediction.tool_call else GENERATE_RESPONSE
            if name != GENERATE_RESPONSE:
                called[prediction.shown.index(name)] += 1
            if gold != GENERATE_RESPONSE:
                wanted[prediction.shown.index(gold)] += 1
                hit[prediction.shown.index(gold)] += name == gold
    return called, wanted, hit


def measure(settings: dict[str, Any], seed: int, model: str) -> dict[str, Any]:
    """One run of the arm gentool."""
    tree = {**RECIPE, "model": {"path": model}, "train": {**RECIPE["train"], **settings}, "seeds": [seed]}
    config = make_config(tree, "bench/tool_order.py")
    with tempfile.TemporaryDirectory() as folder:
        run = Run(config, Path(folder), Progress())
        run.until("evaluate")
        scores = json.loads((run.folder / "scores.json").read_text(encoding="utf-8"))
        stages = [
            json.loads((run.folder / f"stages/gentool/seed-{seed}/{name}/stage.json").read_text())["metrics"]
            for name in ("rank", "select")
        ]
        called, wanted, hit = places(run)
    total = sum(called)
    by_place = [h / max(1, w) for h, w in zip(hit, wanted, strict=True)]
    return {
        "tool_selection": {
            s: round(scores["models"]["gentool"][s]["all"]["tool_selection"]["value"], 3) for s in SCENARIOS
        },
        "arrival": round(
            statistics.mean(scores["models"]["gentool"][s][t]["arrival"]["value"] for s, t in ENDPOINT_CELLS),
            3,
        ),
        "last_loss": round(stages[-1]["last_loss"], 3),
        "seconds": round(sum(s["seconds"] for s in stages), 1),
        "token_ratio": [s["token_ratio"] for s in stages],
        "calls": total,
        "places": called,
        "distance_from_uniform": round(sum(abs(c / total - 1 / len(called)) for c in called) / 2, 3)
        if total
        else None,
        "right_by_place": [round(share, 3) for share in by_place],
        "spread_by_place": round(statistics.pstdev(by_place), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench/results/tool_order.json"))
    parser.add_argument("--model", default="gentool-nano", help="the model to start from")
    parser.add_argument("--says", default="gentool-nano", help="what that is, for the file")
    options = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    if options.out.exists():
        before = json.loads(options.out.read_text(encoding="utf-8"))
        if before["recipe"] == RECIPE and before["model"] == options.says:
            runs |= before["runs"]
    for seed in range(options.seeds):
        for name, settings in WAYS.items():
            if len(runs[name]) <= seed:
                runs[name].append(measure(settings, seed, options.model))
                print(name, json.dumps(runs[name][-1]), flush=True)
                write(runs, options.says, options.out)
    print(json.dumps(write(runs, options.says, options.out)["median"], indent=2))


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what there is."""
    found = [v for v in values if v is not None]
    return statistics.median(found) if found else None


def write(runs: dict[str, list[dict[str, Any]]], model: str, out: Path) -> dict[str, Any]:
    """What was measured so far, as it is kept."""
    result = {
        "what": "the gentool arm by order of tools and batches: tool selection, arrival, places of called tools",
        "model": model,
        "recipe": RECIPE,
        "runs": runs,
        "median": {
            name: {
                "seconds": middle(r["seconds"] for r in found),
                "distance_from_uniform": middle(r["distance_from_uniform"] for r in found),
                "spread_by_place": middle(r["spread_by_place"] for r in found),
                "arrival": middle(r["arrival"] for r in found),
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
