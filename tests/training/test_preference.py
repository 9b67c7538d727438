"""Preference: where both tools of a pair are shown, the better one's call against the other's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from gentool.config import TrainConfig
from gentool.prompting.renderer import Rendered, Rival
from gentool.records import GENERATE_RESPONSE
from gentool.training.dataset import SampleRenderer, collate
from gentool.training.loss import batch_loss
from gentool.training.plan import Item
from gentool.training.shared_prefix.attention import choose_backend
from gentool.training.shared_prefix.batches import tree_batch
from gentool.training.shared_prefix.tree import build_tree
from tests.training.test_masked_names import source

__all__ = ["source"]

ROWS = [
    Rendered([5, 6, 7, 8, 9, 10, 11], 4, 1.0, Rival(4, 20, 2.0)),
    Rendered([5, 6, 7, 8, 12, 13], 4, 1.0, Rival(5, 21, 0.5)),
    Rendered([5, 6, 7, 14, 15, 16, 17, 18, 19], 5),
]


@pytest.fixture
def model() -> object:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
    )
    return AutoModelForCausalLM.from_config(config).double()


def expected(model: object, rows: list[Rendered]) -> torch.Tensor:
    """By the definition, one row at a time."""
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        logits = model(torch.tensor([row.ids])).logits[0].log_softmax(-1)  # type: ignore[operator]
        for place in range(row.start, len(row.ids)):
            total = total - row.weight * logits[place - 1, row.ids[place]]
        if row.rival:
            at = logits[row.rival.place - 1]
            ahead = at[row.ids[row.rival.place]] - at[row.rival.token]
            total = total - row.rival.weight * torch.nn.functional.logsigmoid(ahead)
    return total


@pytest.mark.parametrize("how", ["padded", "whole", "shared"])
def test_loss_and_gradients_are_those_of_the_definition(model: torch.nn.Module, how: str) -> None:
    wanted = torch.autograd.grad(expected(model, ROWS), list(model.parameters()))
    if how == "shared":
        model.set_attn_implementation(choose_backend(torch.device("cpu"), torch.float64))  # type: ignore[operator]
        batch = tree_batch(build_tree(ROWS))
    else:
        batch = collate([ROWS], 0, whole=how == "whole")
    found = torch.autograd.grad(batch_loss(model, batch), list(model.parameters()))
    for a, b in zip(wanted, found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_a_preference_that_several_samples_have_in_common_counts_for_each() -> None:
    tree = build_tree([ROWS[0], ROWS[0]])
    assert [*tree.rivals.values()] == [(20, 4.0)]
    assert tree.targets[next(iter(tree.rivals))] == 9


def test_without_rivals_a_batch_has_none() -> None:
    rows = [replace(row, rival=None) for row in ROWS]
    assert "rivals" not in collate([rows], 0) and "rivals" not in tree_batch(build_tree(rows))


def test_the_rival_is_the_pair_s_other_tool_where_the_names_part(source: SampleRenderer) -> None:
    own = SampleRenderer(
        source.samples, source.tools, source.renderer, 0, 10**6, options=TrainConfig(preference=3.0)
    )
    seen = 0
    for number, sample in enumerate(own.samples[:300]):
        row = own.rendered(Item(number, "select", 0))
        names = {own.tools[i].name for i in sample.tool_set.pair_tools}
        both = len(names) == 2 and sample.tool_call.name in names
        assert (row.rival is not None) == both
        assert own.rendered(Item(number, "rank", 0)).rival is None
        if row.rival is None:
            assert len(names) < 2 or sample.tool_call.name == GENERATE_RESPONSE
            continue
        seen += 1
        other = (names - {sample.tool_call.name}).pop()
        decode = own.renderer.tokenizer.decode
        begun = decode([*row.ids[row.start : row.rival.place], row.rival.token])
        target = decode(row.ids[row.start : row.rival.place + 1])
        assert begun != target and row.rival.place >= row.start and row.rival.weight == 3.0
        begun_name, target_name = (text.rpartition('"name": "')[2] for text in (begun, target))
        assert other.startswith(begun_name) and sample.tool_call.name.startswith(target_name)
    assert seen > 40
