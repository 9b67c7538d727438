"""The records of each format, and what lies beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gentool.config import Config
from gentool.export import axolotl, llamafactory, openai, swift
from gentool.export.example import Example, Format
from gentool.export.write import export_samples
from gentool.pipeline import Run
from tests.export.conftest import quiet, read_lines

TOOLS = [{"type": "function", "function": {"name": "tide", "description": "Tide – today.", "parameters": {}}}]
ASKED = [{"role": "user", "content": "When is high tide in Brest?"}]


def answer(content: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    if arguments is None:
        return {"role": "assistant", "content": content}
    call = {"id": "000000000", "type": "function", "function": {"name": "tide", "arguments": arguments}}
    return {"role": "assistant", "content": content, "tool_calls": [call]}


RANK = Example(ASKED, answer("tide > generate_response"), TOOLS)
SELECT = Example(ASKED, answer("", {"port": "Brest", "datum": "Bréhat"}), TOOLS)
JOINT = Example(ASKED, answer("tide > generate_response", {"port": "Brest"}), TOOLS)
IN_TEXT = Example(ASKED, answer('<tool_call>\n{"name": "tide"}\n</tool_call>'), None)


def test_llamafactory() -> None:
    assert llamafactory.record(RANK)["conversations"] == [
        {"from": "human", "value": ASKED[0]["content"]},
        {"from": "gpt", "value": "tide > generate_response"},
    ]
    select = llamafactory.record(SELECT)
    assert select["conversations"][-1] == {
        "from": "function_call",
        "value": '{"name": "tide", "arguments": {"port": "Brest", "datum": "Bréhat"}}',
    }
    assert json.loads(select["tools"]) == TOOLS
    assert llamafactory.record(JOINT)["conversations"][-1]["value"] == (
        'tide > generate_response\n<tool_call>\n{"name": "tide", "arguments": {"port": "Brest"}}\n</tool_call>'
    )
    assert llamafactory.record(IN_TEXT)["tools"] == ""
    assert llamafactory.record(IN_TEXT)["conversations"][-1]["from"] == "gpt"


def test_swift() -> None:
    assert swift.record(RANK)["messages"][1:] == [
        {"role": "assistant", "content": "tide > generate_response"}
    ]
    (call,) = swift.record(SELECT)["messages"][1:]
    assert call["role"] == "tool_call"
    assert json.loads(call["content"]) == {"name": "tide", "arguments": SELECT.call["arguments"]}  # type: ignore[index]
    assert [m["role"] for m in swift.record(JOINT)["messages"]] == ["user", "assistant", "tool_call"]
    assert json.loads(swift.record(SELECT)["tools"]) == TOOLS
    assert "tools" not in swift.record(IN_TEXT)


def test_axolotl() -> None:
    function = axolotl.record(SELECT)["messages"][-1]["tool_calls"][0]["function"]
    assert json.loads(function["arguments"]) == {"port": "Brest", "datum": "Bréhat"}
    assert json.loads(axolotl.record(SELECT)["tools"]) == TOOLS
    assert axolotl.record(RANK)["messages"][-1] == RANK.answer
    assert SELECT.call == {"name": "tide", "arguments": {"port": "Brest", "datum": "Bréhat"}}  # unchanged


def test_openai_leaves_out_an_empty_content() -> None:
    assert "content" not in openai.record(SELECT)["messages"][-1]
    assert openai.record(JOINT)["messages"][-1]["content"] == "tide > generate_response"
    assert set(openai.record(SELECT)) == {"messages", "tools", "parallel_tool_calls"}
    assert set(openai.record(IN_TEXT)) == {"messages"}


@pytest.mark.parametrize("tool_format", ["native", "text"])
def test_openai_records_are_what_its_types_say(
    run: Run, tmp_path: Path, changed: Callable[..., Config], tool_format: str
) -> None:
    types = pytest.importorskip("openai.types.chat", reason="has the types of messages and tools")
    from pydantic import TypeAdapter

    messages = TypeAdapter(list[types.ChatCompletionMessageParam])
    tools = TypeAdapter(list[types.ChatCompletionToolParam])
    config = changed(prompt={"tool_format": tool_format})
    export_samples(run.folder, config, "openai", tmp_path / "out", quiet(), task="select")
    lines = read_lines(tmp_path / "out" / "select.jsonl")
    assert lines
    for line in lines:
        read = json.loads(messages.dump_json(messages.validate_python(line["messages"], strict=True)))
        assert read == line["messages"]  # a field that the types do not have would be gone
        found = line.get("tools", [])
        assert json.loads(tools.dump_json(tools.validate_python(found))) == found
        assert line.get("parallel_tool_calls", False) is False


@pytest.mark.parametrize("kind", ["llamafactory", "ms-swift", "axolotl"])
def test_all_columns_are_text_so_that_arrow_loads_them(run: Run, tmp_path: Path, kind: Format) -> None:
    """As older versions of ``datasets`` do it, which these tools pin: no value is left out and none is added."""
    datasets = pytest.importorskip("datasets", reason="all three read files with it")
    export_samples(run.folder, run.config, kind, tmp_path / "out", quiet())
    for stage in ("rank", "select"):
        lines = read_lines(tmp_path / "out" / f"{stage}.jsonl")
        loaded = datasets.Dataset.from_list(lines)
        assert "Json" not in str(loaded.features)

        def without_none(value: Any) -> Any:
            if isinstance(value, dict):
                return {k: without_none(v) for k, v in value.items() if v is not None}
            return [without_none(v) for v in value] if isinstance(value, list) else value

        assert [without_none(row) for row in loaded] == lines


def test_llamafactory_is_told_of_the_files(run: Run, tmp_path: Path) -> None:
    export_samples(run.folder, run.config, "llamafactory", tmp_path, quiet())
    info = json.loads((tmp_path / "dataset_info.json").read_text(encoding="utf-8"))
    assert list(info) == ["gentool_rank", "gentool_select"]
    line = read_lines(tmp_path / info["gentool_select"]["file_name"])[0]
    assert set(info["gentool_select"]["columns"].values()) == set(line)
    assert {turn["from"] for turn in line["conversations"]} <= set(info["gentool_select"]["tags"].values())


def test_axolotl_is_told_of_the_files(run: Run, tmp_path: Path) -> None:
    export_samples(run.folder, run.config, "axolotl", tmp_path, quiet(), task="select")
    options = yaml.safe_load((tmp_path / "select.yaml").read_text(encoding="utf-8"))
    (data,) = options["datasets"]
    assert Path(data["path"]) == tmp_path / "select.jsonl"
    assert {data["field_messages"], data["field_tools"]} == set(read_lines(tmp_path / "select.jsonl")[0])


def test_llamafactory_converts_the_records(run: Run, tmp_path: Path) -> None:
    converter = pytest.importorskip(
        "llamafactory.data.converter", reason="llamafactory pins other versions of transformers and datasets"
    )
    parser = pytest.importorskip("llamafactory.data.parser", reason="as above")
    export_samples(run.folder, run.config, "llamafactory", tmp_path, quiet())
    for attributes in parser.get_dataset_list(["gentool_rank", "gentool_select"], str(tmp_path)):
        convert = converter.get_dataset_converter("sharegpt", attributes, None)
        for line in read_lines(tmp_path / attributes.dataset_name):
            found = convert(line)
            assert found["_prompt"] and found["_response"] and json.loads(found["_tools"])
