"""A run's samples or probes -> files for other tools, sealed by ``export.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gentool import __version__
from gentool.config import Arm, Config
from gentool.export import axolotl, llamafactory, openai, swift, trl
from gentool.export.example import Example, Format, json_text
from gentool.export.probes import probe_prompts
from gentool.export.samples import TaskChoice, chosen_stages, sample_stages
from gentool.jsonl import (
    GenToolError,
    JsonlFile,
    content_hash,
    read_json_object,
    read_jsonl,
    write_parts,
    write_text,
)
from gentool.lineage import Lineage
from gentool.progress import Progress, Stopped
from gentool.recipe import make_config
from gentool.records import Probe, Sample, Scenario, Tool

MANIFEST = "export.json"

_RECORD: dict[Format, Callable[[Example], dict[str, Any]]] = {
    "trl": trl.prompt_completion,
    "trl-messages": trl.messages,
    "llamafactory": llamafactory.record,
    "ms-swift": swift.record,
    "axolotl": axolotl.record,
    "openai": openai.record,
}


class ExportError(GenToolError):
    """An export that cannot be written; says what is in the way and the fix."""


def with_fallback(config: Config, fallback: Literal["tool", "text"] | None) -> Config:
    """``config`` with another ``prompt.fallback``; ``None`` changes nothing."""
    if fallback is None:
        return config
    tree = config.model_dump(mode="json")
    return make_config({**tree, "prompt": {**tree["prompt"], "fallback": fallback}}, "--fallback")


def _beside(kind: Format, stages: Sequence[str], out: Path) -> dict[str, str]:
    """The files, name -> text, that a format wants beside those of the stages."""
    if kind == "trl":
        return {"README.md": trl.card(("prompt", "completion"), stages)}
    if kind == "trl-messages":
        return {"README.md": trl.card(("messages",), stages)}
    if kind == "llamafactory":
        return {"dataset_info.json": llamafactory.dataset_info(stages)}
    if kind == "axolotl":
        return {f"{s}.yaml": axolotl.configuration((out / f"{s}.jsonl").as_posix()) for s in stages}
    return {}


def export_samples(
    run: Path,
    config: Config,
    kind: Format,
    out: Path,
    progress: Progress,
    arm: Arm = "gentool",
    task: TaskChoice = "all",
    epochs: int = 1,
    force: bool = False,
) -> dict[str, int]:
    """Write a file for each stage, as ``kind`` has them, to the folder ``out``; return file -> number of records.

    ``run`` is a run folder with scenarios. Samples are read and written one by one. Raises :class:`ExportError` where
    a file is in the way, :class:`gentool.config.ConfigError` for a task that the arm does not have.
    """
    _check_built(run)
    stages = list(chosen_stages(config, arm, task))
    beside = _beside(kind, stages, out)
    folder = _Folder(out, [*(f"{s}.jsonl" for s in stages), *beside], force)
    record = _RECORD[kind]
    with JsonlFile(Sample, run / "scenarios" / "train.jsonl") as samples:
        for stage in sample_stages(config, samples, _tools(run), arm, task, epochs):
            lines = (json_text(record(example)) + "\n" for example in stage.examples)
            folder.write_lines(f"{stage.name}.jsonl", lines, stage.count, progress)
    for name, text in beside.items():
        write_text(out / name, text)
    folder.seal(
        run,
        config,
        {"format": kind, "arm": arm, "task": task, "epochs": epochs, "order_seed": config.seeds[0]},
        list(beside),
    )
    return folder.counts


def export_probes(
    run: Path,
    config: Config,
    scenarios: Sequence[Scenario],
    out: Path,
    progress: Progress,
    force: bool = False,
) -> dict[str, int]:
    """Write the prompts of ``scenarios`` with their references, a file for each; return file -> number of records."""
    _check_built(run)
    folder = _Folder(out, [f"{s}.jsonl" for s in scenarios], force)
    tools = _tools(run)
    for scenario in scenarios:
        with JsonlFile(Probe, run / "scenarios" / f"{scenario}.jsonl") as probes:
            lines = (json_text(record) + "\n" for record in probe_prompts(config, probes, tools))
            folder.write_lines(f"{scenario}.jsonl", lines, None, progress)
    folder.seal(run, config, {"format": "prompts", "order_seed": config.seed}, [])
    return folder.counts


def _check_built(run: Path) -> None:
    if not (run / "scenarios" / "summary.json").is_file():
        raise ExportError(f"{run}: holds no scenarios. Fix: give the recipe, or run gentool build first.")


def _tools(run: Path) -> Mapping[str, Tool]:
    return {t.id: t for t in read_jsonl(Tool, run / "scenarios" / "tools.jsonl")}


class _Folder:
    """Where an export is written: no file of others is touched, and ``export.json`` says when all is there."""

    def __init__(self, out: Path, names: Sequence[str], force: bool) -> None:
        if out.exists() and not out.is_dir():
            raise ExportError(f"--out {str(out)!r} is a file. Fix: give a folder.")
        manifest = out / MANIFEST
        before = set(read_json_object(manifest, "files")["files"]) if manifest.is_file() else set()
        taken = [name for name in names if (out / name).exists() and name not in before]
        if taken and not force:
            raise ExportError(
                f"--out {str(out)!r} has a {taken[0]} that no export wrote. Fix: give another folder, or --force to "
                "replace it."
            )
        # From here on all in the folder that is named is ours, whatever interrupts this.
        write_text(manifest, json.dumps({"finished": False, "files": {n: {} for n in names}}) + "\n")
        stale = [out / n for n in before - set(names) if n == Path(n).name]
        for path in [*stale, *(left for n in names for left in out.glob(f".{n}.*.tmp"))]:
            path.unlink(missing_ok=True)
        self.out = out
        self.counts: dict[str, int] = {}
        self._hashes: dict[str, str] = {}

    def write_lines(self, name: str, lines: Iterator[str], total: int | None, progress: Progress) -> None:
        """Write a file line by line; it appears whole or not at all."""
        digest = hashlib.sha256()
        bar = None if total is None else progress.start(name, total)
        self.counts[name] = 0

        def told() -> Iterator[str]:
            for count, line in enumerate(lines, start=1):
                digest.update(line.encode())
                self.counts[name] = count
                if bar is not None and (count == total or not count % 1000):
                    progress.update(bar, count)
                if progress.stopping:
                    raise Stopped
                yield line

        write_parts(self.out / name, told())
        self._hashes[name] = digest.hexdigest()

    def seal(self, run: Path, config: Config, what: dict[str, Any], beside: list[str]) -> None:
        """Write the manifest."""
        build = Lineage(run / "lineage.json").steps.get("build", {})
        files: dict[str, Any] = {n: {"records": c, "sha256": self._hashes[n]} for n, c in self.counts.items()}
        manifest = {
            "schema": "gentool-export-1",
            "finished": True,
            "gentool": __version__,
            **what,
            "prompt": config.prompt.model_dump(mode="json"),
            "config": content_hash(config.model_dump(mode="json")),
            "scenarios": build.get("outputs"),
            "files": {**files, **{name: {} for name in beside}},
        }
        write_text(self.out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
