"""Catalogues written for OpenAI, MCP and TRL lead back to the original names."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gentool.catalog.importer import import_tools, original_name
from gentool.catalog.write import WRITERS, write_mcp, write_trl
from gentool.cli import main
from gentool.records import GENERATE_RESPONSE
from tests.catalog.test_xlam import row
from tests.imports import load

SCHEMA = {"type": "object", "properties": {"bed": {"type": ["string", "null"]}}, "required": ["bed"]}
OUTPUT = {"type": "object", "properties": {"done": {"type": "boolean"}}}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": f"Does {name}.", "inputSchema": SCHEMA, **more}


TOOLS = [
    tool("garden.water"),
    tool("garden_water"),
    tool("gießen", outputSchema=OUTPUT),
    tool(GENERATE_RESPONSE),
]


def test_mcp_comes_back_as_it_was(tmp_path: Path) -> None:
    imported = load(tmp_path, {"tools": TOOLS})
    assert len(imported.names) == 3
    write_mcp(imported, tmp_path / "mcp.json")
    assert json.loads((tmp_path / "mcp.json").read_text(encoding="utf-8")) == {"tools": TOOLS}
    again = import_tools(tmp_path / "mcp.json")
    assert (again.format, again.names) == ("mcp", imported.names)
    assert [t.id for t in again.tools] == [t.id for t in imported.tools]


def test_mcp_names_stay_apart(tmp_path: Path) -> None:
    servers = [{"server": s, "tools": [tool("water", description=s)]} for s in ("North", "South")]
    imported = load(tmp_path, servers)
    write_mcp(imported, tmp_path / "mcp.json")
    assert [t.name for t in import_tools(tmp_path / "mcp.json").tools] == ["water", "water_south"]


@pytest.mark.parametrize("format", ["openai", "trl"])
def test_names_of_openai_and_trl_lead_back(tmp_path: Path, format: str) -> None:
    imported = load(tmp_path, {"tools": TOOLS})
    file, write = WRITERS[format]
    write(imported, tmp_path / file)
    again = import_tools(tmp_path / file)
    assert (again.format, again.names, again.repaired) == ("openai", {}, [])
    assert [t.openai() for t in again.tools] == [t.openai() for t in imported.tools]
    assert [original_name(t.name, imported.names) for t in again.tools] == [t["name"] for t in TOOLS]


def test_trl_has_a_line_for_each_query(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    imported = load(tmp_path, [row(), row("Soak the roses.")])
    write_trl(imported, tmp_path / "trl.jsonl")
    rows = datasets.load_dataset(
        "json", data_files=str(tmp_path / "trl.jsonl"), cache_dir=str(tmp_path), split="train"
    )
    assert rows[1]["prompt"] == [{"role": "user", "content": "Soak the roses."}]
    assert json.loads(rows[1]["tools"]) == [imported.tools[0].openai()]


def gentool(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gentool", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_command_writes_all_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    load(tmp_path, [row()])
    assert gentool(monkeypatch, "import", "a.jsonl", "-w", "mcp", "--write", "trl", "-w", "openai") == 0
    names = {"tools.jsonl", "repaired.jsonl", "rejected.jsonl", "duplicates.jsonl", "names.json"}
    cases = {"use_cases.jsonl", "repaired_cases.jsonl", "rejected_cases.jsonl"}
    folder = tmp_path / "catalogue"
    assert {p.name for p in folder.iterdir()} == names | cases | {"openai.json", "mcp.json", "trl.jsonl"}
    assert "queries kept" in capsys.readouterr().out
    load(tmp_path, {"tools": TOOLS})
    assert gentool(monkeypatch, "import", "a.jsonl") == 0
    assert not cases & {p.name for p in folder.iterdir()}, "of another import"
    assert gentool(monkeypatch, "import", "a.jsonl", "-w", "yaml") == 2
    assert "--write: expected openai, mcp, trl; found 'yaml'" in capsys.readouterr().err
