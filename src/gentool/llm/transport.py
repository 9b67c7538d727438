"""One request to an OpenAI-compatible server: a reply, or a failure that says what kind it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from gentool.config import ServerConfig
from gentool.jsonl import refuse_constant
from gentool.llm.call import Reply, read_reply
from gentool.llm.retry import Failure, RetryPolicy, is_passing, retry_after


class Transport:
    """Sends bodies with the ``openai`` SDK, whose own retries are off. For one event loop.

    ``key`` is the secret; it is in no message.
    """

    def __init__(self, server: ServerConfig, key: str | None, policy: RetryPolicy) -> None:
        import openai

        self.server = server
        self.key = key
        self.policy = policy
        self._sdk = openai.AsyncOpenAI(
            api_key=key or "none", base_url=server.base_url, timeout=server.timeout, max_retries=0
        )
        # The SDK takes OpenAI's account from the environment; other servers get nothing of it.
        unsent = [] if server.is_openai else ["OpenAI-Organization", "OpenAI-Project"]
        if key is None:
            unsent.append("Authorization")
        self._headers = dict.fromkeys(unsent, openai.Omit())

    async def close(self) -> None:
        await self._sdk.close()

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """The reply to one request. Raises :class:`Failure`."""
        import openai

        try:
            # The SDK's own limit is on each read; a server that sends a byte a second would never meet it.
            async with asyncio.timeout(self.server.timeout):
                raw = await self._sdk.chat.completions.with_raw_response.create(
                    model=body["model"],
                    messages=[],
                    extra_body=body,  # has the messages; the SDK would walk through those that it is given
                    extra_headers=self._headers,
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
        return Failure(f"HTTP {status}: {self._text(error.body)}{wait}", status, asked, passing, error.code)

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


def advice(server: ServerConfig, failure: Failure) -> str:
    """What a user can do about a failure."""
    key, model = server.key_name, server.model
    if failure.passing:
        return f"Fix: see that the server at {server.base_url} is up, or raise `timeout`."
    if failure.status == 401:
        if key is None:
            return "Fix: name the environment variable that holds the key in `api_key_env`."
        return f"Fix: put a valid key into the environment variable {key}, or name another in `api_key_env`."
    if failure.status == 403:
        return f"Fix: see that the key in {key or '`api_key_env`'} may use the model {model!r}."
    if failure.status == 404:
        return f"Fix: check `model` ({model!r}) and `base_url` ({server.base_url}; most end in /v1)."
    if failure.status == 429:
        return "Fix: see to the account's quota, or come back later."
    return (
        "Fix: change what the server refuses, with `extra`, `temperature` (null leaves it out) or, where it takes "
        "no tools, `tool_format: text`."
    )
