"""Parts of one synthesis that were made apart, and the run that they make together (``gentool merge``)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentool.config import Config, ConfigError
from gentool.jsonl import GenToolError, content_hash, read_bytes, read_json_object, write_parts, write_text
from gentool.llm.cache import CacheError, CallCache
from gentool.synthesis.plan import Plan
from gentool.synthesis.seeds import Shard

_NOTE = Path("synthesis") / "shard.json"


class MergeError(GenToolError):
    """Shards that make no whole; says which, why and the fix."""


def parse_shard(text: str | None) -> Shard | None:
    """``2/8`` as the second of eight shards. Raises :class:`ConfigError`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError(
            f"--shard: expected i/n with i from 1 to n, such as 2/8; found {text!r}. Fix: correct it."
        )
    return Shard(int(found[1]), int(found[2]))


def shard_folder(runs: Path, name: str, shard: Shard | None) -> Path:
    """The folder of a run, or that of its part: ``NAME-shard-2-of-8``."""
    return runs / (f"{name}-shard-{shard.number}-of-{shard.of}" if shard else name)


def _plan_hash(plan: Plan, config: Config) -> str:
    """What all shards of one synthesis have in common: the same seeds and the same settings."""
    options = plan.config
    return content_hash(
        [
            plan.settings,
            config.seed,
            [tool.id for tool in plan.tools],
            sorted(plan.seeds.examples.items()),
            [options.max_tools, options.pairs_per_tool, options.ways, options.upgrades],
        ]
    )


def note_shard(folder: Path, plan: Plan, config: Config) -> None:
    """Write down which part of what a shard's folder holds, for :func:`merge_shards`."""
    shard = plan.seeds.shard
    if shard is not None:
        note = {
            "shard": shard.number,
            "of": shard.of,
            "plan": _plan_hash(plan, config),
            "settings": plan.settings,
        }
        write_text(folder / _NOTE, json.dumps(note, indent=1) + "\n")


@dataclass(frozen=True)
class _Part:
    """A shard's folder and its note."""

    folder: Path
    shard: Shard
    plan: str


def _read_part(folder: Path) -> _Part:
    if not (folder / _NOTE).is_file():
        raise MergeError(
            f"{folder}: expected the folder of a shard; found no {_NOTE}. Fix: give the folders that `gentool "
            "synthesize RECIPE --shard i/n` made."
        )
    note: dict[str, Any] = read_json_object(folder / _NOTE, "shard", "of", "plan")
    return _Part(folder, Shard(note["shard"], note["of"]), note["plan"])


def _check_whole(parts: Sequence[_Part]) -> None:
    """Raise :class:`MergeError` unless the parts are all shards of one synthesis, each once."""
    first = parts[0]
    numbers: dict[int, _Part] = {}
    for part in parts:
        if part.shard.of != first.shard.of:
            raise MergeError(
                f"{part.folder}: expected a shard of {first.shard.of}; found {part.shard}. Fix: give shards of one "
                "division."
            )
        if part.plan != first.plan:
            raise MergeError(
                f"{part.folder}: expected a shard with the settings of {first.folder}; found another catalogue, seed, "
                "options, prompts or version. Fix: make all shards from one recipe."
            )
        if part.shard.number in numbers:
            other = numbers[part.shard.number].folder
            raise MergeError(
                f"{part.folder}: expected each shard once; found shard {part.shard} in {other} too. Fix: leave one out."
            )
        numbers[part.shard.number] = part
    missing = sorted(set(range(1, first.shard.of + 1)) - set(numbers))
    if missing:
        raise MergeError(
            f"expected all {first.shard.of} shards; missing: {', '.join(map(str, missing[:20]))}. Fix: give their "
            f"folders too; `gentool synthesize RECIPE --shard {missing[0]}/{first.shard.of}` makes one."
        )


def merge_shards(folders: Sequence[Path], out: Path) -> None:
    """Put the units, decisions, answers and the catalogue of all shards of a synthesis into the run folder ``out``.

    Everything is streamed. A merge that was broken off is begun anew. Raises :class:`MergeError` where the shards are
    not all there, are not of one synthesis, or ``out`` is another run.
    """
    parts = sorted((_read_part(folder) for folder in folders), key=lambda part: part.shard.number)
    _check_whole(parts)
    units = out / "synthesis" / "units.jsonl"
    if units.exists():
        raise MergeError(f"--out: {out} is a run that has a synthesis already. Fix: name another folder.")
    _merge_answers(
        [part.folder / "cache" / "teacher.sqlite" for part in parts], out / "cache" / "teacher.sqlite"
    )
    for name in ("catalog.jsonl", "config.yaml"):
        write_text(out / name, read_bytes(parts[0].folder / name).decode())
    if any((part.folder / "reviews.jsonl").is_file() for part in parts):
        write_parts(out / "reviews.jsonl", _lines(parts, "reviews.jsonl"))
    write_parts(units, _lines(parts, "synthesis/units.jsonl"))


def _lines(parts: Sequence[_Part], name: str) -> Iterator[str]:
    """The whole lines of a file of all shards; a last line that a crash cut short is left out."""
    for part in parts:
        path = part.folder / name
        if path.is_file():
            with path.open("rb") as file:
                yield from (line.decode() for line in file if line.endswith(b"\n"))


def _merge_answers(sources: Sequence[Path], target: Path) -> None:
    """Copy what the teacher answered, so that nothing is asked again."""
    for source in sources:
        if not source.is_file():
            continue
        CallCache(source).close()  # of the version that is copied
        CallCache(target).close()
        base = sqlite3.connect(target)
        try:
            base.execute("ATTACH DATABASE ? AS shard", (str(source),))
            with base:
                base.execute(
                    "INSERT OR IGNORE INTO calls (key, reply, request) SELECT key, reply, request FROM shard.calls"
                )
        except sqlite3.Error as error:
            raise CacheError(
                f"{source}: its answers cannot be copied: {error}. Fix: make room on the disk, or move the file away."
            ) from None
        finally:
            base.close()
