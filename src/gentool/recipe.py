"""A recipe: the YAML file of a run, read into its options. Unknown keys are refused with the nearest known name."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gentool.config import Config, ConfigError, ServerConfig
from gentool.jsonl import error_lines, excerpt, printable
from gentool.strict_yaml import dump_yaml, parse_yaml


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The option names at a place of the tree."""
    fields: Any = Config
    for part in path:
        found = fields.model_fields.get(str(part))
        if found is None:  # a key of a mapping, such as a stage's name
            continue
        options = (found.annotation, *getattr(found.annotation, "__args__", ()))
        fields = next((a for a in options if isinstance(a, type) and issubclass(a, BaseModel)), None)
        if fields is None:
            return []
    return list(fields.model_fields)


def _describe(error: ValidationError, where: str) -> str:
    lines = error_lines(error, where)
    parts = error.errors()[: len(lines)]
    for i, part in enumerate(parts):
        if part["type"] == "extra_forbidden":
            *path, key = part["loc"]
            known = _known_keys(tuple(path))
            near = difflib.get_close_matches(str(key), known, n=1)
            field = printable(".".join(map(str, part["loc"]))[:200])
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
            lines[i] = f"{where}: {field}: unknown key; {hint}"
        elif part["type"] == "missing":  # the section that lacks it may hold a key, by mistake
            field = printable(".".join(map(str, part["loc"]))[:200])
            lines[i] = f"{where}: {field}: expected a value; found none. Fix: add it."
    told = [line for line, part in zip(lines, parts, strict=False) if not _of_other_kind(part)]
    return "\n".join([*map(_plain_place, told), *lines[len(parts) :]])


def _of_other_kind(part: Any) -> bool:
    """Whether an error is only that a value, a section or a word, is not of the other kind that may stand there.

    It would repeat the whole section, with a key that someone wrote there by mistake.
    """
    kind = str(part["loc"][-1]) if part["loc"] else ""
    section = isinstance(part["input"], dict)
    return (kind.startswith("literal[") and section) or (kind == ServerConfig.__name__ and not section)


def _plain_place(line: str) -> str:
    """Without the names of kinds that pydantic puts into the path of an option."""
    return re.sub(rf"\.(literal\[[^]]*\]|{ServerConfig.__name__})(?=[.:])", "", line, count=1)


def _override(tree: dict[str, Any], setting: str) -> None:
    key, separator, text = setting.partition("=")
    if not separator:
        raise ConfigError(f"--set {setting}: expected key=value, for example train.learning_rate=1e-5")
    *path, last = key.strip().split(".")
    for part in path:
        if not isinstance(tree.setdefault(part, {}), dict):
            raise ConfigError(f"--set {setting}: {part!r} is a value, not a group of options")
        tree = tree[part]
    try:
        value = parse_yaml(text)
    except ValueError:
        value = text
    tree[last] = value


def make_config(tree: Any, where: str) -> Config:
    """A checked configuration. Raises :class:`ConfigError`, its text beginning with ``where``."""
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else f"{type(tree).__name__}: {excerpt(tree, 60)}"
        raise ConfigError(
            f"{where}: expected a mapping of options; found {found}. Fix: write key: value, as in docs/quickstart.md."
        )
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_describe(error, where)) from None


def read_tree(path: Path, settings: list[str] | None = None) -> Any:
    """The YAML of a file, ``--set key=value`` settings applied. Raises :class:`ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}. Fix: check the path.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: expected UTF-8; found byte {error.object[error.start]:#04x} at {error.start + 1}. "
            "Fix: save the file as UTF-8."
        ) from None
    try:
        tree = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{path}{error}") from None
    if isinstance(tree, dict):
        for setting in settings or []:
            _override(tree, setting)
    return tree


def load_config(path: Path, settings: list[str] | None = None) -> Config:
    """Read a recipe, then apply ``--set key=value`` settings. Raises :class:`ConfigError`."""
    return make_config(read_tree(path, settings), str(path))


def dump_config(config: Config) -> str:
    """The configuration as YAML, every default written out."""
    return dump_yaml(config.model_dump(mode="json"))
