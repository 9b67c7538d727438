"""transformers' Trainer, with an optimizer step as the unit: its batches, however many, and one loss over all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.utils.data import Dataset
from transformers import Trainer

from gentool.prompting.renderer import Rendered
from gentool.training.dataset import SampleRenderer, collate
from gentool.training.loss import batch_loss
from gentool.training.plan import StagePlan


class Batching(Protocol):
    """Cuts the samples of a step into batches, the same number for each process."""

    def __call__(self, rows: Sequence[Rendered], processes: int = 1) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class PlainBatches:
    """Batches of at most ``size`` samples of like length, padded; ``whole`` as in :func:`collate`."""

    size: int
    pad_id: int
    whole: bool = False

    def __call__(self, rows: Sequence[Rendered], processes: int = 1) -> list[dict[str, Any]]:
        ordered = sorted(rows, key=lambda row: len(row.ids))
        number = -(-len(rows) // self.size)
        number = -(-number // processes) * processes
        n = len(ordered)
        parts = [ordered[i * n // number : (i + 1) * n // number] for i in range(number)]
        return [collate([part or [nothing(ordered)]], self.pad_id, self.whole) for part in parts]


def nothing(rows: Sequence[Rendered]) -> Rendered:
    """What a process computes that has nothing to do: two tokens that count nothing."""
    return Rendered(rows[0].ids[:2], 1, 0.0)


class Steps(Dataset[dict[str, Any]]):  # type: ignore[misc]
    """Entry ``i`` is what process ``i % processes`` computes for step ``i // processes``.

    ``rows``: all samples of the step; ``batches``: those of the process; ``tokens``: the weight of all the step's
    targets, by which every batch's loss is divided.
    """

    def __init__(self, plan: StagePlan, source: SampleRenderer, batching: Batching, processes: int) -> None:
        self.plan = plan
        self.source = source
        self.batching = batching
        self.processes = processes

    def __len__(self) -> int:
        return self.plan.steps * self.processes

    def rows(self, step: int) -> list[Rendered]:
        """The samples of a step."""
        return [self.source.render(item) for item in self.plan.step(step)]

    def __getitem__(self, index: int) -> dict[str, Any]:
        step, process = divmod(index, self.processes)
        rows = self.rows(step)
        batches = self.batching(rows, self.processes)
        return {
            "batches": batches[process :: self.processes],
            "tokens": sum((len(row.ids) - row.start) * row.weight for row in rows),
        }


class StepTrainer(Trainer):  # type: ignore[misc]
    """Trains on :class:`Steps`. ``first``: called with the trainer and the model before the first step."""

    def __init__(self, *args: Any, first: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, data_collator=lambda entries: entries[0], **kwargs)
        self.first = first

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Gradients of all batches of a step; returns the process's part of the loss."""
        model.train()
        if self.first is not None:
            self.first(self, model)
            self.first = None
        batches = inputs["batches"]
        # Gradients are averaged over the processes, and so is the loss that is logged.
        share = self.args.world_size / inputs["tokens"]
        total = torch.zeros((), device=self.args.device)
        for n, batch in enumerate(batches):
            last = n == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    loss = batch_loss(model, self._prepare_inputs(batch)) * share
                self.accelerator.backward(loss)
            total += loss.detach()
        return total
