"""One query, one tool file, one model: ranking and call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gentool.catalog.importer import CatalogError, import_tools, original_name
from gentool.inference.transformers import TransformersBackend
from gentool.models import load_tokenizer
from gentool.prompting.renderer import Renderer, ToolFormat
from gentool.records import GENERATE_RESPONSE, GENERATE_RESPONSE_TOOL, Task, ToolCall


def _trained_as(model: str) -> tuple[Any, bool]:
    """Tool format and whether ranking and call are one output, as the model's stage manifest says."""
    manifest = Path(model) / "stage.json"
    if not manifest.is_file():
        return "native", False
    identity = json.loads(manifest.read_text(encoding="utf-8"))["identity"]
    return identity["tool_format"], identity["stage"] == "joint"


def predict_query(
    model: str,
    tools_file: Path,
    query: str,
    now: str | None,
    rank: bool,
    max_new_tokens: int,
    tool_format: ToolFormat | None = None,
) -> dict[str, Any]:
    """``{"ranking", "tool_call", "outcome", "error", "text", "rejected"}`` for a query.

    Tools are shown in the file's order. Ranking and call name the tools as the file does, though the model may have
    seen another name; ``rejected`` says which tools of the file could not be shown.

    Raises :class:`CatalogError` for a file without usable tools, and what loading a model raises.
    """
    imported = import_tools(tools_file)
    tools = [t for t in imported.tools if t.name != GENERATE_RESPONSE]
    if not tools:
        raise CatalogError(f"{tools_file}: expected tools; none is usable. Fix: see `gentool import`.")
    trained_format, joint = _trained_as(model)
    renderer = Renderer(load_tokenizer(model), tool_format or trained_format, joint)
    shown = [*tools, GENERATE_RESPONSE_TOOL]
    names = [t.name for t in shown]
    tasks: list[Task] = ["joint"] if joint else (["rank", "select"] if rank else ["select"])
    prompts = [renderer.prompt(query, now, shown, task) for task in tasks]
    backend = TransformersBackend(model, renderer)
    texts = {i: c for batch in backend.complete(prompts, max_new_tokens, len(prompts)) for i, c in batch}
    answer: dict[str, Any] = {
        "ranking": None,
        "tool_call": None,
        "outcome": None,
        "error": None,
        "text": {},
        "rejected": [f"{note.where}: {note.name}: {note.reason}" for note in imported.rejected],
    }
    for i, task in enumerate(tasks):
        parsed = renderer.parse(task, texts[i].text, names, texts[i].finished)
        answer["text"][task] = texts[i].text
        if parsed.ranking is not None:
            answer["ranking"] = [original_name(n, imported.names) for n in parsed.ranking]
        if task != "rank":
            answer["outcome"], answer["error"] = parsed.outcome, parsed.error
            if parsed.tool_call:
                name = original_name(parsed.tool_call.name, imported.names)
                answer["tool_call"] = ToolCall.of(name, parsed.tool_call.arguments).model_dump()
    return answer
