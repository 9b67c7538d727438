"""The prompts: jinja files of the package, single ones replaced by the user's own (``synthesis.prompts``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader, PackageLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gentool.jsonl import GenToolError, content_hash, printable

PROMPTS = ("weak_tool", "strong_tool", "seed_queries", "queries", "calls", "judge")
_SHARED = "_parts"


class PromptError(GenToolError):
    """A prompt file that cannot be used; names the file, the line and the fix."""


def json_data(value: Any) -> str:
    """JSON in which no ``<`` or ``>`` is left, so that no text in it can close the tag it stands between."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


class Prompts:
    """Renders the prompts. ``hashes``: name -> hash of all text that a prompt is made from.

    Raises :class:`PromptError` for a folder or file that cannot be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        own = PackageLoader("gentool.synthesis", "prompts")
        if folder is not None and not folder.is_dir():
            raise PromptError(
                f"synthesis.prompts: expected a folder; found {printable(str(folder))}. Fix: correct the path, "
                f"which is relative to {Path.cwd()}."
            )
        if folder is not None:
            _check_names(folder)
        self._folder = folder
        # Sandboxed, and nothing can be changed from within: the files may come from others.
        self._jinja = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([FileSystemLoader(folder), own]) if folder else own,
            undefined=StrictUndefined,
            autoescape=False,  # what is rendered is no HTML
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters["json_data"] = json_data
        shared = self._source(_SHARED)
        self.hashes = {name: content_hash([shared, self._source(name)]) for name in PROMPTS}

    def _source(self, name: str) -> str:
        try:
            source, _, _ = self._jinja.loader.get_source(self._jinja, f"{name}.jinja")  # type: ignore[union-attr]
        except (TemplateError, OSError, UnicodeDecodeError) as error:
            raise self._error(name, error) from None
        return source

    def messages(self, name: str, **context: Any) -> list[dict[str, str]]:
        """The messages of a prompt: its block ``system``, where that is not empty, and its block ``user``."""
        try:
            template = self._jinja.get_template(f"{name}.jinja")
            if "user" not in template.blocks:
                raise self._error(name, "it has no block `user`")
            made = template.new_context(context)
            for _ in template.root_render_func(
                made
            ):  # what is imported at the top of the file is then in `made`
                pass
            texts = {role: "".join(block(made)).strip() for role, block in template.blocks.items()}
        except PromptError:
            raise
        except RecursionError:
            raise self._error(name, "it goes round in a circle") from None
        except (
            TemplateError,
            AttributeError,
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            OSError,
        ) as error:
            raise self._error(name, error) from None
        if not texts["user"]:
            raise self._error(name, "its block `user` is empty")
        return [{"role": role, "content": texts[role]} for role in ("system", "user") if texts.get(role)]

    def _error(self, name: str, error: object) -> PromptError:
        path = f"{name}.jinja"
        if self._folder is not None and (self._folder / path).is_file():
            path = str(self._folder / path)
        line = getattr(error, "lineno", None)
        where = f"{path}:{line}" if line else path
        reason = printable(str(error))[:200].rstrip(".")
        return PromptError(
            f"{printable(where)}: the prompt cannot be rendered: {reason}. Fix: correct the file; "
            "start from the one of that name in gentool/synthesis/prompts."
        )


def _check_names(folder: Path) -> None:
    """A file that replaces nothing is a mistake that nobody would see."""
    known = {*PROMPTS, _SHARED}
    found = sorted(p.name for p in folder.glob("*.jinja*") if p.name not in {f"{n}.jinja" for n in known})
    if found:
        names = ", ".join(f"{n}.jinja" for n in PROMPTS)
        raise PromptError(
            f"synthesis.prompts: {printable(str(folder / found[0]))} replaces no prompt. Fix: give it one of the names "
            f"{names}, or another ending."
        )
