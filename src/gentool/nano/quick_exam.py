"""A quick look during training: is the right tool's number what the model would write first?"""

from __future__ import annotations

from random import Random
from typing import Any

import torch

from gentool.nano.lessons import Lessons, Stage, draw_level
from gentool.nano.worlds import draw_world
from gentool.prompting.order import seeded
from gentool.prompting.renderer import Rendered
from gentool.records import Task
from gentool.training.dataset import collate

LISTS = 12
ASKS = 8


@torch.no_grad()  # type: ignore[untyped-decorator]
def names_right(model: Any, rows: list[Rendered], pad: int) -> list[bool]:
    """Whether every token of each row's target is the likeliest, the right ones before it given."""
    batch = collate([rows], pad)
    labels = batch.pop("labels")
    on = next(model.parameters()).device
    inputs = {k: v.to(on) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
    guess = model(**inputs, use_cache=False).logits.argmax(-1).cpu()[:, :-1]
    wanted = labels[:, 1:]
    return [bool(x) for x in ((guess == wanted) | (wanted == -100)).all(-1)]


def quick_exam(model: Any, lessons: Lessons, stage: Stage, seed: int) -> dict[str, float]:
    """Shares of right choices in calls and in rankings, on lists of the stage from seeds that no step uses."""
    pad = lessons.renderer.tokenizer.pad_token_id
    right: dict[Task, list[bool]] = {"select": [], "rank": []}
    attention = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    model.eval()
    for n in range(LISTS):
        rng = seeded("nano quick exam", seed, n)
        world = draw_world(rng, lessons.words, draw_level(Random(rng.random()), stage), ASKS)
        for task in right:
            rows = [lessons.choice_of(lessons.ask(world, ask, task)) for ask in world.asks]
            right[task] += names_right(model, rows, pad)
    model.set_attn_implementation(attention)
    model.train()
    return {str(task): sum(found) / len(found) for task, found in right.items()}
