"""Tools of running MCP servers, over stdio and over HTTP on loopback: real servers, made with the official SDK."""

from __future__ import annotations

import builtins
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gentool.catalog import live
from gentool.catalog.importer import CatalogError, import_tools
from gentool.cli import app
from tests.imports import checked

pytest.importorskip("mcp", reason="needs the extra mcp")

SERVER = Path(__file__).parent / "mcp_server.py"
NAMES = ["plant_bed", "water_bed", "list_beds"]


def stdio(kind: str, before: str = "") -> str:
    return f"stdio:{before}{shlex.join([sys.executable, str(SERVER), kind])}"


@pytest.fixture
def url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(SERVER), "pages", str(port)])
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if process.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def test_tools_of_a_server_over_stdio() -> None:
    found = checked(import_tools(stdio("plain")))
    assert (found.format, [t.name for t in found.tools]) == ("mcp", NAMES)
    bed = {"type": "object", "properties": {"bed": {"type": ["string", "null"], "default": None}}}
    first, second, _ = found.tools
    assert (first.description, first.source, first.parameters) == ("A garden.", "mcp:Garden", bed)
    assert first.function.output_schema == {"type": "object", "properties": {"done": {"type": "boolean"}}}
    assert second.function.output_schema is None


def test_all_pages_are_read() -> None:
    assert [t.name for t in checked(import_tools(stdio("pages"))).tools] == NAMES


def test_tools_of_a_server_over_http(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # a proxy is not asked for this machine
    result = CliRunner().invoke(app, ["import", f"{url}?token=secret", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "tools.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3 and '"mcp:Garden"' in lines[0]
    assert all("secret" not in path.read_text(encoding="utf-8") for path in tmp_path.iterdir())


def test_variables_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARDEN", "not handed on")
    monkeypatch.setenv("SECRET", "from the environment")
    assert import_tools(stdio("plain")).tools[0].description == "A garden."
    assert import_tools(stdio("plain", "GARDEN='a word' ")).tools[0].description == "a word"
    assert import_tools(stdio("plain", "GARDEN=$SECRET ")).tools[0].description == "from the environment"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (stdio("crash"), "expected an MCP server that lists its tools; found .*the well is dry"),
        (stdio("endless"), "expected the list of tools to end"),
        ("stdio:/no/such/server --key=secret", "found FileNotFoundError"),
        (f"stdio:{shlex.quote(sys.executable)} -c 'print(1)'", "expected an MCP server that lists its tools"),
        ("stdio:", "expected a command; found none"),
        ("stdio:'open", "Fix: close the quotes"),
        ("stdio:A=$NO_SUCH_VARIABLE server", "expected 'NO_SUCH_VARIABLE' in the environment"),
        ("http://127.0.0.1:9/mcp", "http://127.0.0.1:9/mcp: expected an MCP server"),
        (
            "http://example.org/mcp?key=secret",
            "expected a server on this machine .* found the host 'example.org'",
        ),
        ("http://127.0.0.1@example.org/mcp", "found the host 'example.org'"),
        ("https://10.0.0.7/mcp", "expected a server on this machine"),
        ("http://127.0.0.1.example.org/mcp", "expected a server on this machine"),
        ("http://[::1/mcp", "expected a server on this machine"),
    ],
)
def test_failures_are_sentences(source: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message) as failure:
        import_tools(source)
    assert "Fix: " in str(failure.value) and "secret" not in str(failure.value)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ALL_SECONDS", 0.5)
    with pytest.raises(
        CatalogError, match=r"expected an MCP server that lists its tools; found no answer in time"
    ):
        import_tools(f"stdio:{shlex.quote(sys.executable)} -c 'import time; time.sleep(60)'")


def test_without_the_sdk_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "mcp":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CatalogError, match=r"expected the MCP SDK.*pip install 'gentool\[mcp\]'"):
        import_tools(stdio("plain"))
