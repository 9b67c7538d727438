"""What evaluation needs of a model: prompts in its form, texts for prompts, and how to read the texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gentool.prompting.parse import Parsed
from gentool.records import Task, Tool

Made = TypeVar("Made", covariant=True)
Taken = TypeVar("Taken", contravariant=True)


@dataclass(frozen=True)
class Completion:
    """What a model wrote after a prompt, up to its stop token; ``finished``: it reached one.

    ``tokens`` and ``prompt_tokens`` count the text and the prompt. ``scores``: the text is a ranking by these
    log-likelihoods (nats) and was not written.
    """

    text: str
    tokens: int
    finished: bool
    prompt_tokens: int
    scores: dict[str, float] | None = None


class Prompter(Protocol[Made]):
    """Makes prompts (JSON values: token ids, or messages and tools) and reads what was written after them."""

    def prompt(self, query: str, now: str | None, tools: Sequence[Tool], task: Task) -> Made:
        """The prompt; ``tools`` in the order to show them."""
        ...

    def parse(self, task: Task, text: str, names: Sequence[str], finished: bool = True) -> Parsed:
        """Read a text; see :func:`gentool.prompting.parse.parse_response`."""
        ...


def never() -> bool:
    """For ``stopping``: nobody asks to stop."""
    return False


class Backend(Protocol[Taken]):
    """Anything that completes prompts."""

    def complete(
        self, prompts: Sequence[Taken], max_new_tokens: int, stopping: Callable[[], bool] = never
    ) -> Iterator[list[tuple[int, Completion]]]:
        """(Index into ``prompts``, completion), some at a time, in any order.

        Once ``stopping()`` is true nothing new is begun; what is under way comes to its end.
        """
        ...
