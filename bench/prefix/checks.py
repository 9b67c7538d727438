"""In one process: exactness, the sweep over prefixes and branches, and the package's own pairs."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from bench.prefix.samples import Shape, branches, make_model
from rich.console import Console

from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.prompting.renderer import Rendered
from gentool.recipe import load_config
from gentool.training.dataset import SampleRenderer
from gentool.training.loss import batch_loss
from gentool.training.plan import plan_arm
from gentool.training.prepare import make_renderer
from gentool.training.shared_prefix.attention import choose_backend
from gentool.training.shared_prefix.batches import SharedBatches
from gentool.training.shared_prefix.gate import LEAST_RATIO, use
from gentool.training.shared_prefix.tree import pack, unique_tokens
from gentool.training.trainer import Batching, PlainBatches

SIZES = (1, 2, 4, 8)
"""Micro-batch sizes that plain batches are tried with."""


def step_tokens(rows: Sequence[Rendered]) -> int:
    """Tokens of all samples."""
    return sum(len(row.ids) for row in rows)


def ratio_of(rows: Sequence[Rendered]) -> float:
    """All tokens / unique tokens."""
    return step_tokens(rows) / unique_tokens(rows)


class Bare:
    """A model and how its batches are computed, without trainer and optimizer: forward and backward only."""

    def __init__(self, shape: Shape, seed: int, device: str, bf16: bool) -> None:
        self.device = torch.device(device)
        self.bf16 = bf16
        self.model = make_model(shape, seed, torch.float32).to(self.device).train()
        self.tree = choose_backend(self.device, torch.bfloat16 if bf16 else torch.float32)

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def run(self, rows: Sequence[Rendered], batching: Batching, attention: str) -> float:
        """The mean loss of a step; gradients are left in the model."""
        use(self.model, attention)
        self.model.zero_grad()
        targets = sum(len(row.ids) - row.start for row in rows)
        total = 0.0
        for batch in batching(rows):
            there = {k: v.to(self.device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
            with self._precision():
                loss = batch_loss(self.model, there) / targets
            loss.backward()
            total += loss.item()
        return total

    def seconds(self, rows: Sequence[Rendered], batching: Batching, attention: str) -> float:
        """Of one step, its batches made anew."""
        begun = time.perf_counter()
        self.run(rows, batching, attention)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    def speed_up(self, rows: Sequence[Rendered], size: int, limits: Limits) -> dict[str, Any]:
        """Plain / shared, in turn: micro-batches of ``size`` samples, trees as large as a stage's are by default.

        ``ratio_in_packs``: the token ratio that is left where a list is too long for one tree.
        """
        budget = 4 * max(len(row.ids) for row in rows)
        found: list[float] = []
        begun = time.perf_counter()
        least, most, seconds = limits
        while len(found) < least or (len(found) < most and time.perf_counter() - begun < seconds):
            plain = self.seconds(rows, PlainBatches(size, 0), "sdpa")
            found.append(plain / self.seconds(rows, SharedBatches(budget), self.tree))
        ratio = ratio_of(rows)
        return {
            "token_ratio": round(ratio, 3),
            "ratio_in_packs": round(step_tokens(rows) / sum(map(unique_tokens, pack(rows, budget))), 3),
            "speed_up": round(statistics.median(found), 3),
            "spread": [round(min(found), 3), round(max(found), 3)],
            "gate": "shared" if ratio >= LEAST_RATIO else "plain",
        }


Limits = tuple[int, int, float]
"""Repeats at least, at most, and the seconds after which there are no more."""


def exactness(shape: Shape, rows: Sequence[Rendered], seed: int, device: str) -> dict[str, float]:
    """Shared prefixes against one sample at a time in float32: relative errors, of gradients the worst parameter's."""
    bare = Bare(shape, seed, device, False)
    model = bare.model
    targets = sum(len(row.ids) - row.start for row in rows)
    expected = 0.0
    for row in rows:  # nothing of GenTool's here
        ids = torch.tensor([row.ids], device=bare.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, row.start - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[0, row.start :], reduction="sum") / targets
        loss.backward()
        expected += loss.item()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    found = bare.run(rows, SharedBatches(4 * max(len(row.ids) for row in rows)), bare.tree)
    errors = {n: float((p.grad - wanted[n]).norm() / wanted[n].norm()) for n, p in model.named_parameters()}
    return {"max_loss_error": abs(found / expected - 1), "max_grad_error": max(errors.values())}


def sweep(
    shape: Shape, prefixes: Sequence[int], numbers: Sequence[int], bare: Bare, limits: Limits
) -> Iterator[dict[str, Any]]:
    """A cell for each length of the prefix and number of samples that share it, 60 tokens more each."""
    bare.seconds(branches(64, 2, 60, shape.vocabulary, 0), PlainBatches(1, 0), "sdpa")
    for prefix in prefixes:
        rows = branches(prefix, max(SIZES), 60, shape.vocabulary, prefix)
        per_sample = {n: bare.seconds(rows[:n], PlainBatches(n, 0), "sdpa") / n for n in SIZES}
        size = min(per_sample, key=per_sample.__getitem__)
        for number in numbers:
            rows = branches(prefix, number, 60, shape.vocabulary, prefix + number)
            found = bare.speed_up(rows, size, limits)
            yield {"prefix": prefix, "branches": number, "plain_size": size, **found}


def own_pairs(
    shape: Shape, template: Path, steps: Sequence[int], limits: Limits, device: str, bf16: bool
) -> dict[str, Any]:
    """The package's pairs with a real chat template: token ratio of each stage, by samples of a step; and one timed."""
    settings = [f"model.chat_template={template}", "model.random_init.vocabulary=8192"]
    found: dict[str, Any] = {"template": template.name, "stages": []}
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(Path("recipes/scratch.yaml"), settings)
        run = Run(config, Path(folder), Progress(Console(quiet=True)))
        run.build()
        renderer = make_renderer(config, run.base())
        source = SampleRenderer(run.samples(), run.tools(), renderer, 0, config.train.max_length)
        samples = run.samples()
    for schedule, size in product(("two_pass", "mixed"), steps):
        changes = {"schedule": schedule, "batch_size": size, "epochs": 1}
        for plan in plan_arm(samples, "gentool", config.train.model_copy(update=changes), 0, source.length):
            groups = [[source.render(item) for item in plan.step(n)] for n in range(plan.steps)]
            tokens = [len(row.ids) for rows in groups for row in rows]
            stage = {
                "schedule": schedule,
                "stage": plan.name,
                "step": size,
                "token_ratio": round(sum(tokens) / sum(map(unique_tokens, groups)), 3),
                "longest": max(tokens),
            }
            found["stages"].append(stage)
    bare = Bare(replace(shape, vocabulary=len(renderer.tokenizer)), 0, device, bf16)
    rows = groups[len(groups) // 2]  # a step of the last stage and size
    bare.seconds(rows[:8], PlainBatches(4, 0), "sdpa")
    found["timed"] = {**found["stages"][-1], **bare.speed_up(rows, 4, limits)}
    return found
