"""A small real MCP server for the tests, over stdio or, with a port, over HTTP on loopback.

``pages`` lists its tools page by page, ``endless`` the same page again and again, and ``crash`` ends on
the first request.
"""

from __future__ import annotations

import os
import sys

import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import ListToolsResult, PaginatedRequestParams, Tool

NAMES = ["plant_bed", "water_bed", "list_beds"]
BED = {"type": "object", "properties": {"bed": {"type": ["string", "null"], "default": None}}}


def listing(kind: str):
    async def list_tools(_, params: PaginatedRequestParams | None) -> ListToolsResult:
        if kind == "crash":
            print("the well is dry", file=sys.stderr, flush=True)
            os._exit(3)
        tools = [
            Tool(name=n, description=os.environ.get("GARDEN", "A garden."), input_schema=BED) for n in NAMES
        ]
        tools[0].output_schema = {"type": "object", "properties": {"done": {"type": "boolean"}}}
        if kind == "endless":
            return ListToolsResult(tools=tools[:1], next_cursor="again")
        if kind != "pages":
            return ListToolsResult(tools=tools)
        page = int(params.cursor) if params and params.cursor else 0
        following = str(page + 1) if page + 1 < len(NAMES) else None
        return ListToolsResult(tools=tools[page : page + 1], next_cursor=following)

    return list_tools


async def over_stdio(server: Server) -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    made = Server("Garden", on_list_tools=listing(kind))
    if port:
        import uvicorn

        uvicorn.run(made.streamable_http_app(), host="127.0.0.1", port=port, log_level="error")
    else:
        anyio.run(over_stdio, made)
