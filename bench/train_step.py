"""Time of a training step (forward and backward) with the logits of the targets only, against those of all positions.

    python bench/train_step.py [--repeats 7] [--out bench/results/train_step.json]

Both run in turn in one process, on the same samples of the package's pairs and the model of recipes/scratch.yaml;
prints the ratio pair by pair. Losses and gradients are the same (tests/training/test_stage.py).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gentool.models import load_model
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.training.dataset import SampleRenderer, collate
from gentool.training.plan import Item
from gentool.training.prepare import make_renderer


def step(model: Any, batch: dict[str, Any]) -> float:
    """Seconds of one forward and backward pass."""
    model.zero_grad()
    begun = time.perf_counter()
    model(**batch).loss.backward()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("bench/results/train_step.json"))
    parser.add_argument("--set", dest="settings", action="append", default=[], help="change the recipe")
    options = parser.parse_args()
    config = load_config(Path("recipes/scratch.yaml"), options.settings)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(config, Path(folder), Progress())
        run.build()
        base = run.base()
        renderer = make_renderer(config, base)
        source = SampleRenderer(run.samples(), run.tools(), renderer, 0, config.train.max_length)
        rows = [source.render(Item(i, "select", 0)) for i in range(options.samples)]
        model = load_model(base, torch.float32, trainable=True).train()
    pad = renderer.tokenizer.pad_token_id
    whole, targets = collate([rows], pad, whole=True), collate([rows], pad)
    step(model, whole), step(model, targets)
    times = [(step(model, whole), step(model, targets)) for _ in range(options.repeats)]
    ratios = sorted(a / b for a, b in times)
    result = {
        "what": "seconds of a step: logits of all positions / of the targets only",
        "samples": options.samples,
        "tokens": whole["input_ids"].shape[1],
        "targets": targets["logits_to_keep"],
        "whole_seconds": round(statistics.median(a for a, _ in times), 3),
        "targets_seconds": round(statistics.median(b for _, b in times), 3),
        "ratio": {
            "min": round(ratios[0], 2),
            "median": round(statistics.median(ratios), 2),
            "max": round(ratios[-1], 2),
        },
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in ("torch", "transformers")},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
