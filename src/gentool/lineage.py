"""What was made from what: a step whose inputs and outputs are as recorded is not run again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gentool.jsonl import content_hash, write_text

_PACKAGES = (
    "gentool",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "bitsandbytes",
    "scikit-learn",
    "sentence-transformers",
)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def files_hash(paths: Iterable[Path]) -> str:
    """Hash over the names and contents of files; a missing file counts as such.

    Of weights only name and size count: reading gigabytes at every start would cost more than it tells.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + b"\0")
        if path.suffix == ".safetensors" and path.is_file():
            digest.update(str(path.stat().st_size).encode())
        elif path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


class Lineage:
    """``lineage.json`` of a run folder: one entry a step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steps: dict[str, Any] = {}
        self.read()

    def read(self) -> bool:
        """Read the file anew; ``False`` if there is one that is damaged, which counts as an empty one."""
        self.steps = {}
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return True
        except (ValueError, RecursionError):
            return False
        if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
            return False
        self.steps = found
        return True

    def done(self, step: str, inputs: Any, outputs: Iterable[Path]) -> bool:
        """Whether the step was finished with these inputs and its outputs are as it left them."""
        entry = self.steps.get(step, {})
        if entry.get("inputs") != content_hash(inputs):
            return False
        return bool(entry.get("outputs") == files_hash(outputs))

    def begin(self, step: str) -> None:
        """Forget that the step was ever finished: its outputs are about to be overwritten."""
        if self.steps.pop(step, None) is not None:
            self._write()

    def record(self, step: str, inputs: Any, outputs: Iterable[Path], seed: int, started: datetime) -> None:
        """Write the step down as finished now, unless it only found what it had made before."""
        made = {"inputs": content_hash(inputs), "outputs": files_hash(outputs)}
        if made.items() <= self.steps.get(step, {}).items():
            return
        self.steps[step] = {
            **made,
            "seed": seed,
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": _versions(),
            "python": platform.python_version(),
            "host": {"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()},
        }
        self._write()

    def _write(self) -> None:
        write_text(self.path, json.dumps(self.steps, indent=2) + "\n")
