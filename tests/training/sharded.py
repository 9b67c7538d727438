"""Run by two processes: a tiny model under ``fully_shard`` takes a step of our batches; the first saves what it got."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch.distributed.fsdp import fully_shard

from gentool.config import load_config
from gentool.models import load_model
from gentool.pipeline import Run
from gentool.processes import is_first, join, process_count, wait_for_all
from gentool.progress import Progress
from gentool.training.arms import plan_arms
from gentool.training.dataset import MicroBatches, SampleRenderer, collate
from gentool.training.plan import micro_batches_per_step
from gentool.training.prepare import make_renderer


def main(recipe: Path, folder: Path, out: Path) -> None:
    config = load_config(recipe)
    run = Run(config, folder, Progress())
    base = run.base()
    renderer = make_renderer(config, base)
    source = SampleRenderer(run.samples(), run.tools(), renderer, 0, config.train.max_length)
    plan = plan_arms(source, config, 0)["gentool"][0]
    model = load_model(base, torch.float32, trainable=True)
    rank, world = 0, process_count()
    if world > 1:
        rank = join().process_index
        for layer in model.model.layers:
            fully_shard(layer)
        fully_shard(model)
        assert type(next(model.parameters())).__name__ == "DTensor"
    per_step = micro_batches_per_step(plan, 4, world)
    batches = MicroBatches(plan, source, per_step)
    every = [collate([batches[i]], renderer.tokenizer.pad_token_id) for i in range(per_step)]
    tokens = sum(int((b["labels"] != -100).sum()) for b in every)
    total = torch.zeros(())
    for batch in every[rank::world]:
        loss = model(**batch, num_items_in_batch=tokens).loss * world  # gradients are averaged over processes
        loss.backward()
        total += loss.detach() / world
    if world > 1:
        torch.distributed.all_reduce(total)
    gradients = {}
    for name, parameter in model.named_parameters():
        found = parameter.grad
        gradients[name] = found.full_tensor() if hasattr(found, "full_tensor") else found
    if is_first():
        torch.save({"loss": total, "gradients": gradients}, out)
    wait_for_all()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
