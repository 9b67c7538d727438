"""TRL's conversational formats: prompt-completion and language modeling (``messages``), with ``tools``.

Followed: TRL 1.16, "Dataset formats and types" (section Tool Calling) and ``trl/trainer/sft_trainer.py``, which reads
``tools`` from JSON text and hands ``chat_template_kwargs`` of a record to the template. A call's ``arguments`` must be
an object, since templates write it; so that Arrow does not give every call the arguments of all others, a dataset card
declares ``tool_calls`` as the type ``json`` (``datasets`` 4.7 or later).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from gentool.export.example import Example, json_text
from gentool.prompting.renderer import TEMPLATE_VARIABLES

_TEXTS = [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}]
_ANSWER = [*_TEXTS, {"name": "tool_calls", "list": "json"}]
_COLUMNS = {"prompt": _TEXTS, "completion": _ANSWER, "messages": _ANSWER}


def prompt_completion(example: Example) -> dict[str, Any]:
    """A record of which TRL trains on the completion alone."""
    return {"prompt": example.prompt, "completion": [example.answer], **_beside(example)}


def messages(example: Example) -> dict[str, Any]:
    """A record as one conversation; training on the answer alone needs ``assistant_only_loss``."""
    return {"messages": [*example.prompt, example.answer], **_beside(example)}


def _beside(example: Example) -> dict[str, Any]:
    tools = None if example.tools is None else json_text(example.tools)
    return {"tools": tools, "chat_template_kwargs": TEMPLATE_VARIABLES}


def card(columns: Sequence[str], stages: Sequence[str]) -> str:
    """The dataset card: each stage is a configuration of its own, with the types of its columns."""
    kinds = {bool: "bool", str: "string"}
    features = [
        *({"name": column, "list": _COLUMNS[column]} for column in columns),
        {"name": "tools", "dtype": "string"},
        {
            "name": "chat_template_kwargs",
            "struct": [{"name": k, "dtype": kinds[type(v)]} for k, v in TEMPLATE_VARIABLES.items()],
        },
    ]
    head = {
        "configs": [{"config_name": stage, "data_files": f"{stage}.jsonl"} for stage in stages],
        "dataset_info": [{"config_name": stage, "features": features} for stage in stages],
    }
    own = json.loads(json.dumps(head))  # no object twice: datasets reads no YAML with anchors
    return f"---\n{yaml.safe_dump(own, sort_keys=False)}---\n\n{_TEXT}\n"


_TEXT = """Written by `gentool export`; `export.json` says from what.

Load a stage with `datasets.load_dataset(FOLDER, STAGE)`."""
