"""Batched greedy generation with transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import GenerationConfig

from gentool.inference.backend import Completion, never
from gentool.models import ModelError, context_length, device, load_model, torch_dtype
from gentool.prompting.renderer import Renderer


class TransformersBackend:
    """A model on this machine. Greedy: the same prompt gives the same text."""

    def __init__(
        self,
        path: str,
        renderer: Renderer,
        dtype: str = "auto",
        batch_size: int = 16,
        four_bit: bool | None = None,
    ) -> None:
        self.renderer = renderer
        self.batch_size = batch_size
        self.device = device()
        self.model = load_model(path, torch_dtype(dtype), four_bit=four_bit).to(self.device).eval()

    def _config(self, max_new_tokens: int) -> GenerationConfig:
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=self.renderer.stop_ids,
            pad_token_id=self.renderer.tokenizer.pad_token_id,
        )

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def complete(
        self, prompts: Sequence[Sequence[int]], max_new_tokens: int, stopping: Callable[[], bool] = never
    ) -> Iterator[list[tuple[int, Completion]]]:
        """See :class:`gentool.inference.backend.Backend`; prompts of like length share a batch, longest first.

        Raises :class:`ModelError` for a prompt that the model cannot read whole.
        """
        limit = context_length(self.model)
        longest = max(map(len, prompts), default=0)
        if limit is not None and longest + max_new_tokens > limit:
            raise ModelError(
                f"a prompt has {longest} tokens and the answer may have {max_new_tokens}; the model reads {limit}. "
                "Nothing is cut silently. Fix: show fewer or shorter tools, or lower the limit of new tokens."
            )
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        pad = self.renderer.tokenizer.pad_token_id
        config = self._config(max_new_tokens)
        for start in range(0, len(order), self.batch_size):
            if stopping():
                return
            batch = order[start : start + self.batch_size]
            width = max(len(prompts[i]) for i in batch)
            ids = torch.tensor([[pad] * (width - len(prompts[i])) + list(prompts[i]) for i in batch])
            mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in batch])
            # The model's own generation_config may ask for sampling; the one given here replaces it whole.
            self.model.generation_config = config
            output = self.model.generate(
                input_ids=ids.to(self.device), attention_mask=mask.to(self.device), generation_config=config
            )
            yield [
                (i, self._completion(row, len(prompts[i])))
                for i, row in zip(batch, output[:, width:].tolist(), strict=True)
            ]

    def _completion(self, ids: list[int], prompt_tokens: int) -> Completion:
        text, finished = self.renderer.decode(ids)
        stop = next((n + 1 for n, token in enumerate(ids) if token in self.renderer.stop_ids), len(ids))
        return Completion(text, stop, finished, prompt_tokens)
