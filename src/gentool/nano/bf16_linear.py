"""Matrix products in bfloat16, everything else in float32: what is fastest on CPUs with AVX512-BF16.

Autocast would run attention in bfloat16 too, which torch's CPU kernels do several times slower than in float32.
"""

from __future__ import annotations

from typing import Any

import torch


class _Bf16Linear(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        low, low_weight = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(low, low_weight)
        return torch.nn.functional.linear(low, low_weight).float()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, weight = ctx.saved_tensors
        low = grad.bfloat16()
        return (low @ weight).float(), (low.flatten(0, -2).T @ x.flatten(0, -2)).float()


def use_bf16_products(model: Any) -> None:
    """Let every linear layer of a float32 model multiply in bfloat16; none may have a bias."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            assert module.bias is None
            module.forward = lambda x, module=module: _Bf16Linear.apply(x, module.weight)
