"""From the samples of an optimizer step to batches in which each shared token is there once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gentool.prompting.renderer import Rendered
from gentool.training.shared_prefix.attention import ARGUMENT, TreeLayout
from gentool.training.shared_prefix.tree import Tree, build_tree, pack


def tree_batch(tree: Tree) -> dict[str, Any]:
    """The model's inputs for a tree, one row; ``labels`` and ``weights`` (targets,) belong to the gathered logits."""
    batch = {
        "input_ids": torch.tensor([tree.ids]),
        "position_ids": torch.tensor([tree.depths]),
        "logits_to_keep": torch.tensor(tree.predictors, dtype=torch.long),
        "labels": torch.tensor(tree.targets, dtype=torch.long),
        "weights": torch.tensor(tree.weights),
        ARGUMENT: TreeLayout(tree),
    }
    if tree.rivals:
        pairs = [tree.rivals.get(n, (-1, 0.0)) for n in range(len(tree.targets))]
        batch["rivals"] = torch.tensor([token for token, _ in pairs])
        batch["rival_weights"] = torch.tensor([weight for _, weight in pairs])
    return batch


@dataclass(frozen=True)
class SharedBatches:
    """Cuts a step into batches of at most ``budget`` unique tokens, the same number for each process."""

    budget: int

    def __call__(self, rows: Sequence[Rendered], processes: int = 1) -> list[dict[str, Any]]:
        return [tree_batch(build_tree(part or _nothing(rows))) for part in pack(rows, self.budget, processes)]


def _nothing(rows: Sequence[Rendered]) -> list[Rendered]:
    """What a process computes that has nothing to do: a token that counts nothing."""
    return [Rendered(rows[0].ids[:2], 1, 0.0)]
