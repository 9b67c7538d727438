"""Run by two processes: a tiny model under ``fully_shard`` takes a step of our batches; the first saves what it got."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch.distributed.fsdp import fully_shard

from gentool.models import load_model
from gentool.pipeline import Run
from gentool.processes import is_first, join, process_count, wait_for_all
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.training.arms import plan_arms
from gentool.training.dataset import SampleRenderer
from gentool.training.loss import batch_loss
from gentool.training.prepare import make_renderer
from gentool.training.shared_prefix.batches import SharedBatches
from gentool.training.trainer import PlainBatches, Steps


def main(recipe: Path, folder: Path, out: Path, shared: str) -> None:
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
    batching = SharedBatches(1500) if shared == "shared" else PlainBatches(4, renderer.tokenizer.pad_token_id)
    if shared == "shared":
        model.set_attn_implementation("gentool_tree")
    entry = Steps(plan, source, batching, world)[rank]
    total = torch.zeros(())
    for batch in entry["batches"]:
        loss = batch_loss(model, batch) / entry["tokens"] * world  # gradients are averaged over processes
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
    main(*map(Path, sys.argv[1:4]), sys.argv[4])
