"""What evaluation needs of a model: texts for prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Completion:
    """What a model wrote after a prompt, up to its stop token; ``finished``: it reached one."""

    text: str
    tokens: int
    finished: bool


class Backend(Protocol):
    """Anything that completes prompts."""

    def complete(
        self, prompts: Sequence[Sequence[int]], max_new_tokens: int, batch_size: int
    ) -> Iterator[list[tuple[int, Completion]]]:
        """Complete prompts (token ids) in batches; each batch yields (index into ``prompts``, completion)."""
        ...
