"""One query, one tool file, one model: ranking and call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from gentool.catalog.importer import CatalogError, import_tools, original_name
from gentool.config import ConfigError, ServerConfig
from gentool.inference.backend import Backend, Prompter
from gentool.inference.server import Chat, ServerBackend, ServerPrompts
from gentool.jsonl import RecordError, describe_errors, excerpt, read_json_object
from gentool.llm.client import Client
from gentool.prompting.renderer import Renderer, ToolFormat
from gentool.records import GENERATE_RESPONSE, GENERATE_RESPONSE_TOOL, Task, ToolCall


def _trained_as(model: str) -> tuple[Any, bool, str | None]:
    """Tool format, whether ranking and call are one output, and the text of the fallback, as ``stage.json`` says."""
    manifest = Path(model) / "stage.json"
    if not manifest.is_file():
        return "native", False, None
    identity = read_json_object(manifest, "identity")["identity"]
    try:
        return identity["tool_format"], identity["stage"] == "joint", identity["fallback_text"]
    except (KeyError, TypeError):
        raise RecordError(
            f"{manifest}: identity: expected tool_format, stage and fallback_text; found "
            f"{excerpt(identity)}. Fix: train it anew."
        ) from None


P = TypeVar("P")


@dataclass(frozen=True)
class Model(Generic[P]):
    """A model to ask; ``load`` is called late. ``joint``: it writes ranking and call as one output."""

    prompter: Prompter[P]
    load: Callable[[], Backend[P]]
    joint: bool = False


def local_model(path: str, tool_format: ToolFormat | None = None) -> Model[list[int]]:
    """A model on this machine: a stage folder, a model folder or a hub name; asked as it was trained.

    Raises what loading a tokenizer raises.
    """
    from gentool.inference.transformers import TransformersBackend
    from gentool.models import load_tokenizer

    trained_format, joint, fallback_text = _trained_as(path)
    renderer = Renderer(load_tokenizer(path), tool_format or trained_format, joint, fallback_text)
    return Model(renderer, partial(TransformersBackend, path, renderer), joint)


def server_model(
    url: str, name: str, api_key_env: str | None = None, tool_format: ToolFormat | None = None
) -> Model[Chat]:
    """A model behind an OpenAI-compatible server. Raises :class:`ConfigError` for options that cannot be used."""
    tree = {
        "base_url": url,
        "model": name,
        "api_key_env": api_key_env,
        "tool_format": tool_format or "native",
        "max_retries": 2,  # somebody waits
    }
    try:
        server = ServerConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(describe_errors(error, "--server")) from None
    client = Client(server.base_url, server, say=partial(print, file=sys.stderr))
    return Model(ServerPrompts(server.tool_format), lambda: ServerBackend(client))


def predict_query(
    model: Model[P],
    tools_file: Path,
    query: str,
    now: str | None,
    rank: bool,
    max_new_tokens: int,
    plain_answer: bool = False,
) -> dict[str, Any]:
    """``{"ranking", "tool_call", "outcome", "error", "answer", "text", "rejected"}`` for a query.

    ``answer`` is what the user reads where no tool is called: the model's text; with ``plain_answer``, where it calls
    ``generate_response``, what it writes when it is asked again without tools.

    Tools are shown in the file's order. Ranking and call name the tools as the file does, though the model may have
    seen another name; ``rejected`` says which tools of the file could not be shown.

    Raises :class:`CatalogError` for a file without usable tools, and what loading or asking a model raises.
    """
    imported = import_tools(tools_file)
    tools = [t for t in imported.tools if t.name != GENERATE_RESPONSE]
    if not tools:
        reasons = "; ".join(f"{note.where}: {note.reason}" for note in imported.rejected[:3])
        raise CatalogError(
            f"{tools_file}: expected tools; none of {imported.read} is usable ({reasons}). Fix: correct the file; "
            "`gentool import` writes down every reason."
        )
    shown = [*tools, GENERATE_RESPONSE_TOOL]
    names = [t.name for t in shown]
    tasks: list[Task] = ["joint"] if model.joint else (["rank", "select"] if rank else ["select"])
    prompts = [model.prompter.prompt(query, now, shown, task) for task in tasks]
    backend = model.load()
    texts = {i: c for batch in backend.complete(prompts, max_new_tokens) for i, c in batch}
    answer: dict[str, Any] = {
        "ranking": None,
        "tool_call": None,
        "outcome": None,
        "error": None,
        "answer": None,
        "text": {},
        "rejected": [f"{note.where}: {note.name}: {note.reason}" for note in imported.rejected],
    }
    for i, task in enumerate(tasks):
        parsed = model.prompter.parse(task, texts[i].text, names, texts[i].finished)
        answer["text"][task] = texts[i].text
        if parsed.ranking is not None:
            answer["ranking"] = [original_name(n, imported.names) for n in parsed.ranking]
        if task != "rank":
            answer["outcome"], answer["error"] = parsed.outcome, parsed.error
            if parsed.tool_call:
                name = original_name(parsed.tool_call.name, imported.names)
                answer["tool_call"] = ToolCall.of(name, parsed.tool_call.arguments).model_dump()
                if plain_answer and name == GENERATE_RESPONSE:
                    plain = model.prompter.prompt(query, now, (), "select")
                    answer["answer"] = next(backend.complete([plain], max_new_tokens))[0][1].text
            elif parsed.outcome == "answer":
                answer["answer"] = texts[i].text
    return answer
