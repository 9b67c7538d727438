"""Whether a stage shares prefixes: only if it is exact for the model and pays; and a check of the first batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gentool.config import TrainConfig
from gentool.models import device
from gentool.processes import any_process
from gentool.prompting.renderer import Rendered
from gentool.training.dataset import SampleRenderer, TrainingError, collate
from gentool.training.loss import batch_loss, keeps_logits
from gentool.training.plan import StagePlan
from gentool.training.shared_prefix.attention import NAMES, choose_backend
from gentool.training.shared_prefix.batches import SharedBatches, tree_batch
from gentool.training.shared_prefix.support import obstacles
from gentool.training.shared_prefix.tree import build_tree, unique_tokens
from gentool.training.trainer import Batching, PlainBatches

LEAST_RATIO = 1.2
"""Below it sharing saves less than it costs."""

_LOOKED_AT = 16
"""Steps of a plan that the ratio is estimated from."""

_CHECKED = 6
"""Samples of the first step that are computed both ways."""


@dataclass(frozen=True)
class Engine:
    """How a stage computes: batches, a check before the first step, the token ratio, and why so in words."""

    batching: Batching
    first: Callable[[Any, Any], None] | None
    shared: bool
    ratio: float
    why: str


def token_ratio(plan: StagePlan, source: SampleRenderer) -> float:
    """All tokens / unique tokens of an optimizer step, over steps spread over the plan."""
    total = unique = 0
    for n in range(0, plan.steps, max(1, plan.steps // _LOOKED_AT)):
        rows = [source.render(item) for item in plan.step(n)]
        total += sum(len(row.ids) for row in rows)
        unique += unique_tokens(rows)
    return total / max(1, unique)


def choose_engine(model: Any, plan: StagePlan, source: SampleRenderer, config: TrainConfig) -> Engine:
    """Shared prefixes if they are exact for ``model`` and pay, else plain batches; ``train.shared_prefix`` has the
    last word.

    Raises :class:`TrainingError` where it says ``on`` and the model forbids it.
    """
    pad = source.renderer.tokenizer.pad_token_id
    whole = not keeps_logits(model)
    plain = PlainBatches(config.micro_batch_size, pad, whole)
    ratio = token_ratio(plan, source)
    found = f"token ratio {ratio:.2f}"
    if config.shared_prefix == "off":
        return Engine(plain, None, False, ratio, f"plain batches ({found}; train.shared_prefix: off)")
    longest = max(source.length(item.sample, item.task) for item in plan.items)
    reasons = obstacles(model, longest)
    if reasons and config.shared_prefix == "on":
        raise TrainingError(
            f"train.shared_prefix: on, but it would not be exact: {'; '.join(reasons)}. Fix: set it to auto or off."
        )
    if reasons:
        return Engine(plain, None, False, ratio, f"plain batches ({found}), for: {'; '.join(reasons)}")
    if ratio < LEAST_RATIO and config.shared_prefix == "auto":
        return Engine(plain, None, False, ratio, f"plain batches ({found}, below {LEAST_RATIO})")
    on = device()
    low = on.type == "cuda" if config.bf16 is None else config.bf16
    chosen = choose_backend(on, torch.bfloat16 if low else next(model.parameters()).dtype)
    backend = NAMES.get(config.shared_prefix_attention, chosen)
    budget = config.micro_batch_tokens or config.micro_batch_size * longest
    use(model, backend)
    return Engine(
        SharedBatches(budget),
        FirstBatch(pad, whole, backend).check,
        True,
        ratio,
        f"shared prefixes ({found}; {backend}; up to {budget} unique tokens at once)",
    )


def use(model: Any, implementation: str) -> None:
    """Switch a model's attention, LoRA or not."""
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    plain.set_attn_implementation(implementation)


class FirstBatch:
    """Computes some samples of the first step with shared prefixes and without, and compares loss and gradients."""

    def __init__(self, pad_id: int, whole: bool, backend: str) -> None:
        self.pad_id = pad_id
        self.whole = whole
        self.backend = backend

    def check(self, trainer: Any, model: Any) -> None:
        """Before the first step of ``trainer``; gradients are cleared. All processes must call it.

        Raises :class:`TrainingError` where the loss or the norm of any weight's gradient differs by more than rounding.
        """
        unwrapped = trainer.accelerator.unwrap_model(model)
        chosen = _neighbours(trainer.train_dataset.rows(trainer.state.global_step))
        batches = {
            "sdpa": collate([chosen], self.pad_id, self.whole),
            self.backend: tree_batch(build_tree(chosen)),
        }
        losses, norms = [], []
        for implementation, batch in batches.items():
            use(unwrapped, implementation)
            model.zero_grad()
            with trainer.compute_loss_context_manager():
                loss = batch_loss(model, trainer._prepare_inputs(batch))
            trainer.accelerator.backward(loss)
            losses.append(loss.item())
            norms.append(_gradient_norms(model))
        model.zero_grad()
        low = trainer.args.bf16 or any(p.dtype in (torch.bfloat16, torch.float16) for p in model.parameters())
        of_loss = abs(losses[1] - losses[0]) / losses[0]
        total = math.hypot(*norms[0])
        of_norm = max(abs(b - a) / (a + 1e-4 * total) for a, b in zip(*norms, strict=True))
        # What is not a number is a mismatch too.
        if any_process(not (of_loss <= (2e-2 if low else 1e-4) and of_norm <= (2e-1 if low else 1e-3))):
            raise TrainingError(
                f"shared prefixes do not give what plain batches give: loss {losses[1]:.6g} against {losses[0]:.6g}, "
                f"gradient norms of weights differ by up to {100 * of_norm:.2g} %. Fix: set train.shared_prefix: off, "
                "and report it."
            )


def _neighbours(rows: Sequence[Rendered]) -> list[Rendered]:
    """Samples that share much, so that the check means something."""
    ordered = sorted(rows, key=lambda row: row.ids)
    return ordered[:_CHECKED]


def _gradient_norms(model: Any) -> list[float]:
    """Of each weight; where it is sharded, of this process's part."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    local = [g.to_local() if hasattr(g, "to_local") else g for g in gradients]
    return [float(g.double().norm()) for g in local]
