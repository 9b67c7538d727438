"""Axolotl's ``chat_template`` format: messages and ``tools``, and the part of its configuration that reads them.

Followed: Axolotl 0.19, ``docs/dataset-formats/conversation.qmd`` (Using tool use) and
``axolotl/prompt_strategies/chat_template.py``, which reads ``tools`` and a call's ``arguments`` from JSON text, so that
Arrow need not find one type for all of them.
"""

from __future__ import annotations

from typing import Any

import yaml

from gentool.export.example import Example, json_text
from gentool.prompting.renderer import TEMPLATE_VARIABLES


def record(example: Example) -> dict[str, Any]:
    """One conversation; Axolotl trains on the turns of ``roles_to_train``."""
    tools = {} if example.tools is None else {"tools": json_text(example.tools)}
    return {"messages": [*example.prompt, example.answer_with_text_arguments], **tools}


def configuration(path: str) -> str:
    """The options that read the file at ``path`` and render it as GenTool does."""
    options = {
        "chat_template": "tokenizer_default",
        "chat_template_kwargs": TEMPLATE_VARIABLES,
        "datasets": [
            {
                "path": path,
                "ds_type": "json",
                "type": "chat_template",
                "field_messages": "messages",
                "field_tools": "tools",
                "roles_to_train": ["assistant"],
                "train_on_eos": "turn",
            }
        ],
        "train_on_inputs": False,
    }
    head = "# Add to it what and how to train: base_model, output_dir, sequence_len, learning_rate ...\n"
    return head + yaml.safe_dump(options, sort_keys=False)
