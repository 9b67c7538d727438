"""Requests under way: several at once, tried again where that may help, stopped where it does not."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from gentool.config import ServerConfig
from gentool.jsonl import GenToolError, refuse_constant
from gentool.llm.call import Reply, read_reply
from gentool.llm.limiter import Limiter
from gentool.llm.retry import Failure, RetryPolicy, is_passing, retry_after

BREAKER = 5
"""So many requests lost in a row, each after all its retries, end a session."""


class LLMError(GenToolError):
    """A server that cannot be used or does not answer; says which, why and what to do."""


class _Ended(Exception):
    """No further attempt is to be made."""


class Session:
    """Bodies of requests -> replies, in one event loop. ``name`` stands for the server in messages.

    ``keep`` is called with each reply before it is handed on; ``hint`` ends the messages of failures. Once
    ``stopping()`` is true nothing more is sent, and what is under way is awaited.
    """

    def __init__(
        self,
        name: str,
        server: ServerConfig,
        key: str | None,
        bodies: Mapping[int, Mapping[str, Any]],
        policy: RetryPolicy,
        keep: Callable[[int, Reply], None],
        say: Callable[[str], None],
        stopping: Callable[[], bool],
        hint: str = "",
    ) -> None:
        self.name = name
        self.server = server
        self.key = key
        self.bodies = bodies
        self.policy = policy
        self.keep = keep
        self.say = say
        self.stopping = stopping
        self.hint = hint
        self._todo = iter(bodies)
        self._landed: asyncio.Queue[tuple[int, Reply] | None] = asyncio.Queue()
        self._limiter = Limiter(server.concurrency)
        self._halt: GenToolError | None = None
        self._lost: list[Failure] = []
        self._lost_in_a_row = 0
        self._complained = False
        self._work: asyncio.Task[None] | None = None

    async def landed(self) -> list[tuple[int, Reply]]:
        """Replies as they come, at least one; none at the end.

        Raises :class:`LLMError` at the end if requests failed.
        """
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        items = [await self._landed.get()]
        while not self._landed.empty():
            items.append(self._landed.get_nowait())
        found = [item for item in items if item is not None]
        if found and items[-1] is None:
            self._landed.put_nowait(None)
        if not found:
            await self._work
            self._raise_lost()
        return found

    def _raise_lost(self) -> None:
        if self._halt is not None:
            raise self._halt
        if self._lost and not self.stopping():
            raise self._error(f"{len(self._lost)} of {len(self.bodies)} requests failed", self._lost[-1])

    def _error(self, what: str, last: Failure) -> LLMError:
        if last.passing:
            what = f"{what}, each after {self.policy.retries} retries; the last: "
        return LLMError(f"{self.name}: {what}{last}. {self._advice(last)} {self.hint}".rstrip())

    async def _run(self) -> None:
        try:
            import openai

            async with (
                openai.AsyncOpenAI(
                    api_key=self.key or "none",
                    base_url=self.server.base_url,
                    timeout=self.server.timeout,
                    max_retries=0,
                ) as sdk,
                asyncio.TaskGroup() as workers,
            ):
                for _ in range(min(self.server.concurrency, len(self.bodies))):
                    workers.create_task(self._worker(sdk))
        finally:
            self._landed.put_nowait(None)

    @property
    def _ending(self) -> bool:
        return self._halt is not None or self.stopping()

    async def _worker(self, sdk: Any) -> None:
        for i in self._todo:
            if self._ending:
                return
            try:
                reply = await self._ask(sdk, self.bodies[i])
                self._landed.put_nowait((i, reply))
                self.keep(i, reply)
            except _Ended:
                return
            except Failure as failure:
                self._give_up(failure)
            except GenToolError as error:
                self._halt = self._halt or error
            else:
                self._lost_in_a_row = 0

    def _give_up(self, failure: Failure) -> None:
        self._lost.append(failure)
        self._lost_in_a_row += 1
        if not failure.passing:
            self._halt = self._halt or self._error("", failure)
        elif self._lost_in_a_row >= BREAKER:
            self._halt = self._halt or self._error(f"{BREAKER} requests in a row failed", failure)

    async def _ask(self, sdk: Any, body: Mapping[str, Any]) -> Reply:
        """One reply, whatever number of attempts it takes. Raises :class:`Failure` or :class:`_Ended`."""
        for attempt in itertools.count():
            async with self._limiter.slot() as cuts:
                await self._sleep(self._limiter.held)
                try:
                    reply = await self._attempt(sdk, body)
                except Failure as failure:
                    failed = failure
                else:
                    self._limiter.succeeded()
                    self._complained = False
                    return reply
            wait = self.policy.wait(attempt, failed)
            if wait is None:
                raise failed
            if failed.status == 429:
                if self._limiter.cut(cuts, wait):
                    self.say(f"{self.name}: {failed}; at most {self._limiter.limit} at once from here")
            elif not self._complained:
                self._complained = True
                self.say(f"{self.name}: {failed}; trying again")
            await self._sleep(wait)
        raise AssertionError("unreachable")

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not longer than work goes on."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._ending and (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, 0.2))
        if self._ending:
            raise _Ended

    async def _attempt(self, sdk: Any, body: Mapping[str, Any]) -> Reply:
        import openai

        # The SDK takes OpenAI's account from the environment; other servers get nothing of it.
        unsent = [] if self.server.is_openai else ["OpenAI-Organization", "OpenAI-Project"]
        if self.key is None:
            unsent.append("Authorization")
        further = {k: v for k, v in body.items() if k not in ("model", "messages")}
        try:
            # The SDK's own limit is on each read; a server that sends a byte a second would never meet it.
            async with asyncio.timeout(self.server.timeout):
                raw = await sdk.chat.completions.with_raw_response.create(
                    model=body["model"],
                    messages=body["messages"],
                    extra_body=further,
                    extra_headers=dict.fromkeys(unsent, openai.Omit()),
                )
        except (TimeoutError, openai.APITimeoutError):
            raise Failure(f"no answer within {self.server.timeout:g} s") from None
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.APIConnectionError as error:
            raise Failure(self._safe(f"no connection ({error.__cause__ or error})")) from None
        text = raw.http_response.text
        try:
            return read_reply(json.loads(text, parse_constant=refuse_constant))
        except (ValueError, RecursionError):
            found = repr(self._safe(text)[:80])
            raise Failure(
                f"expected a chat completion at {self.server.base_url}; found {found}. Is `base_url` right? Most end "
                "in /v1"
            ) from None

    def _refused(self, error: Any) -> Failure:
        """An HTTP error; one that asks for a wait beyond the policy's limit does not count as passing."""
        status, asked = error.status_code, retry_after(error.response.headers)
        too_long = asked is not None and asked > self.policy.longest_asked
        wait = f"; it asks to wait {asked:.0f} s" if too_long else ""
        passing = is_passing(status, error.code) and not too_long
        return Failure(f"HTTP {status}: {self._text(error.body)}{wait}", status, asked, passing)

    def _text(self, body: Any) -> str:
        """What the server says about an error."""
        if isinstance(body, dict):
            body = body.get("message") or body.get("detail") or body
        return self._safe(str(body or "without a reason"))

    def _safe(self, text: str) -> str:
        """A server's text for a message: one short line, without the key, which some servers repeat."""
        if self.key:
            text = text.replace(self.key, "***")
        return " ".join(text.split())[:300].rstrip(".")

    def _advice(self, failure: Failure) -> str:
        key, model = self.server.key_name, self.server.model
        if failure.passing:
            return f"Fix: see that the server at {self.server.base_url} is up, or raise `timeout`."
        if failure.status == 401:
            if key is None:
                return "Fix: name the environment variable that holds the key in `api_key_env`."
            return (
                f"Fix: put a valid key into the environment variable {key}, or name another in `api_key_env`."
            )
        if failure.status == 403:
            return f"Fix: see that the key in {key or '`api_key_env`'} may use the model {model!r}."
        if failure.status == 404:
            return f"Fix: check `model` ({model!r}) and `base_url` ({self.server.base_url}; most end in /v1)."
        if failure.status == 429:
            return "Fix: see to the account's quota, or come back later."
        return (
            "Fix: change what the server refuses, with `extra`, `temperature` (null leaves it out) or, where it takes "
            "no tools, `tool_format: text`."
        )
