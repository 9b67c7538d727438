"""The one way to ask a chat model behind an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gentool.config import ServerConfig
from gentool.llm.cache import CacheError, CallCache
from gentool.llm.call import Call, Reply, call_body, call_key, read_reply
from gentool.llm.retry import RetryPolicy
from gentool.llm.session import LLMError, Session


@dataclass
class Usage:
    """What was asked so far; ``cached`` calls were answered before and cost nothing."""

    requests: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __str__(self) -> str:
        before = f", {self.cached:,} answers from the cache" if self.cached else ""
        tokens = f"{self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens"
        return f"{self.requests:,} requests answered with {tokens}{before}"


class Client:
    """A server, and what it answered before. ``name`` stands for it in messages, which go to ``say``.

    ``cache``: file of the answers; nothing is kept without one. Nothing is opened before something is asked.
    """

    def __init__(
        self,
        name: str,
        server: ServerConfig,
        cache: Path | None = None,
        say: Callable[[str], None] = print,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.name = name
        self.server = server
        self.cache = cache
        self.say = say
        self.policy = policy or RetryPolicy(server.max_retries)
        self.usage = Usage()

    def answers(
        self, calls: Sequence[Call], stopping: Callable[[], bool] = lambda: False
    ) -> Iterator[list[tuple[int, Reply]]]:
        """(index into ``calls``, reply) as they land, some at a time; what the cache knows comes first.

        Each reply is in the cache before it is given. Equal calls are asked once. Once ``stopping()`` is true no
        further request is sent, what is under way is awaited, and the iterator ends.

        Raises :class:`LLMError` if requests failed, after all replies that did come;
        :class:`gentool.llm.cache.CacheError`.
        """
        cache = CallCache(self.cache) if self.cache else None
        try:
            yield from self._answers(calls, cache, stopping)
        finally:
            if cache:
                cache.close()

    def _answers(
        self, calls: Sequence[Call], cache: CallCache | None, stopping: Callable[[], bool]
    ) -> Iterator[list[tuple[int, Reply]]]:
        same: dict[str, list[int]] = {}
        for i, call in enumerate(calls):
            same.setdefault(call_key(self.server, call), []).append(i)
        known = [(i, reply) for key in same if (reply := self._known(cache, key)) for i in same[key]]
        self.usage.cached += len(known)
        if known:
            yield known
        done = {i for i, _ in known}
        left = {key: indices for key, indices in same.items() if indices[0] not in done}
        keys = {indices[0]: key for key, indices in left.items()}

        def keep(i: int, reply: Reply) -> None:
            self.usage.requests += 1
            self.usage.prompt_tokens += reply.prompt_tokens
            self.usage.completion_tokens += reply.completion_tokens
            if cache:
                cache.put(keys[i], reply.stored())

        if not left or stopping():
            return
        hint = "What was answered is kept; the same command goes on from there." if cache else ""
        bodies = {i: call_body(self.server, calls[i]) for i in keys}
        with asyncio.Runner() as runner:
            session = Session(
                self.name, self.server, self._key(), bodies, self.policy, keep, self.say, stopping, hint
            )
            while landed := runner.run(session.landed()):
                yield [(j, reply) for i, reply in landed for j in left[keys[i]]]

    def _known(self, cache: CallCache | None, key: str) -> Reply | None:
        found = cache.get(key) if cache else None
        try:
            return None if found is None else read_reply(found)
        except ValueError:
            raise CacheError(
                f"{self.cache}: call {key[:12]}: expected a chat completion. Fix: move the file away (its answers are "
                "then asked and paid again)."
            ) from None

    def _key(self) -> str | None:
        """The secret, from the environment. Raises :class:`LLMError`, which does not hold it."""
        if find_spec("openai") is None:
            raise LLMError("openai is not installed. Fix: pip install 'gentool[llm]'")
        name = self.server.key_name
        if name is None:
            return None
        key = os.environ.get(name, "").strip()
        if not key:
            raise LLMError(
                f"{self.name}: the environment variable {name}, which holds the server's key, is not set. "
                f"Fix: export {name}=..."
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise LLMError(
                f"{self.name}: the environment variable {name} holds characters that no key has. "
                "Fix: set it to the key alone, without quotes and spaces."
            )
        return key
