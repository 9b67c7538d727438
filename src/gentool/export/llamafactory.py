"""LLaMA-Factory's sharegpt format, and the ``dataset_info.json`` that registers the files.

Followed: LLaMA-Factory 0.9.5, ``data/README.md`` (Sharegpt Format) and ``SharegptDatasetConverter`` in
``llamafactory/data/converter.py``. A call is a turn from ``function_call``, its value JSON; text beside a call stands
before ``<tool_call>``, the words that ``FunctionFormatter`` looks for. ``tools`` is JSON text, empty for none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gentool.export.example import Example, json_text


def record(example: Example) -> dict[str, Any]:
    """One conversation; LLaMA-Factory trains on its last turn."""
    turns = [{"from": "human", "value": message["content"]} for message in example.prompt]
    content, call = example.answer["content"], example.call
    if call is None:
        turns.append({"from": "gpt", "value": content})
    else:
        text = json_text(call)
        value = f"{content}\n<tool_call>\n{text}\n</tool_call>" if content else text
        turns.append({"from": "function_call", "value": value})
    return {"conversations": turns, "system": "", "tools": json_text(example.tools) if example.tools else ""}


def dataset_info(stages: Sequence[str]) -> str:
    """``dataset_info.json``: each stage is a dataset ``gentool_<stage>``."""
    info = {
        f"gentool_{stage}": {
            "file_name": f"{stage}.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
                "observation_tag": "observation",
                "function_tag": "function_call",
                "system_tag": "system",
            },
        }
        for stage in stages
    }
    return json_text(info) + "\n"
