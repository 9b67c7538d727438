"""The tools of a running MCP server: one started for it, over stdio, or one that listens on this machine.

Needs the extra ``mcp`` (the official SDK), which is imported only here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import shlex
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Any
from urllib.parse import urlsplit

from gentool.catalog.entries import CatalogError, Row
from gentool.jsonl import excerpt, printable

STDIO = "stdio:"
ANSWER_SECONDS = 60.0
"""Longest wait for one answer; a server that is first downloaded takes its time."""
ALL_SECONDS = 300.0
MAX_TOOLS = 100_000


def is_live(source: str) -> bool:
    """Whether ``source`` names a server and not a file: ``stdio:COMMAND`` or a URL."""
    return source.startswith((STDIO, "http://", "https://"))


def live_rows(source: str) -> tuple[str, list[Row]]:
    """What a server is called in notes, and its ``tools/list`` result, all pages of it, as a row for ``mcp.entries``.

    ``source`` is ``stdio:COMMAND ARGUMENTS``, split as a shell does; words ``NAME=VALUE`` before the command are
    variables for the server, and ``NAME=$OTHER`` takes the value from the environment, of which a server gets
    little else. Or it is the URL of a server on this machine. Raises :class:`CatalogError`.
    """
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise CatalogError(
            f"{told(source)}: expected the MCP SDK, to ask a server for its tools; found none. "
            "Fix: pip install 'gentool[mcp]'."
        ) from None
    # The SDK logs what it cannot parse, with traceback; the error below says it.
    logging.getLogger("mcp").addHandler(logging.NullHandler())
    label = "stdio" if source.startswith(STDIO) else told(source)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            server, tools = asyncio.run(_listed(source, log))
        except CatalogError:
            raise
        except Exception as error:
            raise _failure(source, error, log) from None
    if not tools:
        raise CatalogError(
            f"{told(source)}: expected at least one tool; found a server without. Fix: check its set-up."
        )
    return label, [Row(label, {"server": server, "tools": tools})]


def told(source: str) -> str:
    """``source`` for a person: of a command only its first word, of a URL no query, since both may hold secrets."""
    if source.startswith(STDIO):
        return f"{STDIO}{printable(_command(source)[1][0])}"
    scheme, _, rest = source.partition("://")
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return printable(f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")


def _command(source: str) -> tuple[dict[str, str], list[str]]:
    """Variables and words of a ``stdio:`` source. Raises :class:`CatalogError` where there is no command."""
    variables: dict[str, str] = {}
    try:
        words = shlex.split(source.removeprefix(STDIO))
    except ValueError as error:
        raise CatalogError(f"{STDIO}: expected a command; found {error}. Fix: close the quotes.") from None
    while words and re.match(r"[A-Za-z_][A-Za-z0-9_]*=", words[0]):
        name, _, value = words.pop(0).partition("=")
        if value.startswith("$"):
            if value[1:] not in os.environ:
                raise CatalogError(
                    f"{STDIO}: expected {value[1:]!r} in the environment; found nothing. Fix: export it."
                )
            value = os.environ[value[1:]]
        variables[name] = value
    if not words:
        raise CatalogError(
            f"{STDIO}: expected a command; found none. Fix: write it behind the colon, as in 'stdio:npx -y SERVER'."
        )
    return variables, words


def _check_loopback(url: str) -> None:
    host = ""
    try:
        host = urlsplit(url).hostname or ""
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise CatalogError(
            f"{told(url)}: expected a server on this machine (127.0.0.1 or localhost); found the host {host!r}. "
            "Fix: save its `tools/list` result to a file and import that."
        )


@asynccontextmanager
async def _transport(source: str, log: IO[str]) -> AsyncIterator[Any]:
    if source.startswith(STDIO):
        from mcp.client.stdio import StdioServerParameters, stdio_client

        variables, words = _command(source)
        parameters = StdioServerParameters(command=words[0], args=words[1:], env=variables)
        async with stdio_client(parameters, errlog=log) as streams:  # type: ignore[arg-type]
            yield streams
        return
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    # A proxy of the environment is not for this machine.
    client = httpx2.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS)
    async with client, streamable_http_client(source, http_client=client) as streams:
        yield streams


async def _listed(source: str, log: IO[str]) -> tuple[str, list[dict[str, Any]]]:
    from mcp import Client
    from mcp.types import ListToolsRequest, ListToolsResult, PaginatedRequestParams

    if not source.startswith(STDIO):
        _check_loopback(source)
    tools: list[dict[str, Any]] = []
    cursors: set[str] = set()
    cursor: str | None = None
    async with (
        asyncio.timeout(ALL_SECONDS),
        Client(_transport(source, log), read_timeout_seconds=ANSWER_SECONDS) as client,
    ):
        while True:
            request = ListToolsRequest(params=PaginatedRequestParams(cursor=cursor))
            # Not client.list_tools, which leaves tools out in silence.
            page = await client.session.send_request(request, ListToolsResult)
            tools += [_tool(t) for t in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
            if cursor in cursors or len(tools) > MAX_TOOLS:
                raise CatalogError(
                    f"{told(source)}: expected the list of tools to end; found the page {excerpt(cursor, 40)} "
                    f"again, or more than {MAX_TOOLS:,} tools. Fix: report it to the server's author."
                )
            cursors.add(cursor)
        info = client.server_info
        return (info.name if info else "") or "mcp", tools


def _tool(tool: Any) -> dict[str, Any]:
    made = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
    return made | ({"outputSchema": tool.output_schema} if tool.output_schema is not None else {})


def _failure(source: str, error: BaseException, log: IO[str]) -> CatalogError:
    """``error`` of the SDK, and the last that the server said, as a sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        found = "no answer in time"
    else:
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    log.seek(0)
    lines = [line for line in log.read()[-4000:].splitlines() if line.strip()]
    said = f"; its last line: {printable(lines[-1])[:200]!r}" if lines else ""
    return CatalogError(
        f"{told(source)}: expected an MCP server that lists its tools; found {printable(found)}{said}. "
        "Fix: start the server by hand and see whether it runs, or import a saved `tools/list` result."
    )
