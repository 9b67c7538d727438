"""The files of an export: whole or not there, sealed, nothing of others touched."""

from __future__ import annotations

import hashlib
import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentool.export import write
from gentool.export.write import ExportError, export_samples
from gentool.jsonl import RecordError
from gentool.pipeline import Run
from gentool.progress import Progress, Stopped
from tests.conftest import read_json
from tests.export.conftest import quiet, read_lines


def test_the_manifest_seals_what_was_written(run: Run, tmp_path: Path) -> None:
    counts = export_samples(run.folder, run.config, "trl", tmp_path, quiet(), epochs=2)
    sealed = read_json(tmp_path / "export.json")
    assert sealed["finished"] is True
    assert {k: sealed[k] for k in ("format", "arm", "task", "epochs", "order_seed")} == {
        "format": "trl", "arm": "gentool", "task": "all", "epochs": 2, "order_seed": 0,
    }  # fmt: skip
    assert sealed["scenarios"] == run.lineage.steps["build"]["outputs"]
    assert sorted(sealed["files"]) == ["README.md", "rank.jsonl", "select.jsonl"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*sealed["files"], "export.json"])
    for name, count in counts.items():
        assert sealed["files"][name]["records"] == count == len(read_lines(tmp_path / name))
        digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert sealed["files"][name]["sha256"] == digest


def test_the_same_export_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_samples(run.folder, run.config, "openai", tmp_path / name, quiet())
    assert read_json(tmp_path / "a" / "export.json") == read_json(tmp_path / "b" / "export.json")


def test_files_of_others_stay(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"dataset_info\.json that no export wrote.*--force"):
        export_samples(run.folder, run.config, "llamafactory", tmp_path, quiet())
    assert (tmp_path / "dataset_info.json").read_text() == "{}"
    assert not (tmp_path / "export.json").exists()
    export_samples(run.folder, run.config, "llamafactory", tmp_path, quiet(), force=True)
    assert "gentool_rank" in read_json(tmp_path / "dataset_info.json")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_export_replaces_an_earlier_one(run: Run, tmp_path: Path) -> None:
    export_samples(run.folder, run.config, "axolotl", tmp_path, quiet())
    (tmp_path / "notes.txt").write_text("mine")
    export_samples(run.folder, run.config, "openai", tmp_path, quiet(), task="select")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export.json", "notes.txt", "select.jsonl"]


def test_a_file_cannot_be_the_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ExportError, match="is a file"):
        export_samples(run.folder, run.config, "trl", tmp_path / "out", quiet())


def test_a_folder_without_scenarios_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"holds no scenarios.*gentool build"):
        export_samples(tmp_path, run.config, "trl", tmp_path / "out", quiet())


class StopsAt(Progress):
    """Is asked to stop once a file has that many lines."""

    def __init__(self, lines: int) -> None:
        super().__init__(quiet().console)
        self.left = lines

    @property  # type: ignore[override]
    def stopping(self) -> bool:
        self.left -= 1
        return self.left < 0

    @stopping.setter
    def stopping(self, value: bool) -> None:
        pass


def test_a_stopped_export_leaves_no_half_file_and_can_be_done_again(run: Run, tmp_path: Path) -> None:
    first = len(run.samples())
    with pytest.raises(Stopped):
        export_samples(run.folder, run.config, "openai", tmp_path, StopsAt(first + 3))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export.json", "rank.jsonl"]
    assert read_json(tmp_path / "export.json")["finished"] is False
    (tmp_path / ".select.jsonl.1.tmp").write_text("left by one that was killed")
    export_samples(run.folder, run.config, "openai", tmp_path, quiet())
    assert read_json(tmp_path / "export.json")["finished"] is True
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def own_run(run: Run, tmp_path: Path) -> Path:
    """A copy of the run's folder, to change."""
    return Path(shutil.copytree(run.folder, tmp_path / "run"))


def test_a_damaged_sample_is_named(run: Run, own_run: Path, tmp_path: Path) -> None:
    path = own_run / "scenarios" / "train.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:4], '{"pair": 3}\n', *lines[5:]]), encoding="utf-8")
    with pytest.raises(RecordError, match=r"train\.jsonl:5: "):
        export_samples(own_run, run.config, "openai", tmp_path / "out", quiet())
    path.write_text("".join([*lines[:4], lines[4][:50] + "\n", *lines[5:]]), encoding="utf-8")
    with pytest.raises(RecordError, match=r"train\.jsonl:5: expected one JSON object"):
        export_samples(own_run, run.config, "openai", tmp_path / "out", quiet())


def test_memory_does_not_grow_with_the_samples(run: Run, own_run: Path, tmp_path: Path) -> None:
    path = own_run / "scenarios" / "train.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)

    def peak(copies: int) -> tuple[int, int]:
        path.write_text("".join(lines) * copies, encoding="utf-8")
        tracemalloc.start()
        export_samples(own_run, run.config, "openai", tmp_path / "out", quiet(), task="select")
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size, path.stat().st_size

    export_samples(own_run, run.config, "openai", tmp_path / "out", quiet())  # imports and caches
    (small, read_small), (large, read_large) = peak(4), peak(24)
    more = 20 * len(lines)
    assert large - small < 250 * more < 0.5 * (read_large - read_small)


def test_every_format_has_its_record_and_all_of_them_write(run: Run, tmp_path: Path) -> None:
    for kind in write._RECORD:
        assert export_samples(run.folder, run.config, kind, tmp_path / kind, quiet(), task="joint")


def command(gentool: Callable[..., int], capsys: Any, *words: object) -> tuple[int, str, str]:
    code = gentool(*words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_takes_a_recipe_or_a_run(
    recipe: Callable[..., Path], gentool: Callable[..., int], tmp_path: Path, capsys: Any
) -> None:
    code, out, _ = command(gentool, capsys, "export", recipe(), "--format", "trl", "--out", "a")
    assert code == 0
    assert "a/rank.jsonl" in out and "a/select.jsonl" in out
    code, *_ = command(gentool, capsys, "export", "runs/tiny", "--format", "trl", "--out", "b")
    assert code == 0
    assert read_json(tmp_path / "a" / "export.json") == read_json(tmp_path / "b" / "export.json")
    words = ("runs/tiny", "--format", "openai", "--task", "select", "--fallback", "text", "--out", "c")
    code, *_ = command(gentool, capsys, "export", *words)
    assert code == 0
    assert "None of the tools" in (tmp_path / "c" / "select.jsonl").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "c" / "export.json").read_text())["prompt"]["fallback"] == "text"


def test_the_command_refuses_what_it_cannot_do(
    recipe: Callable[..., Path], gentool: Callable[..., int], capsys: Any
) -> None:
    gentool("build", recipe())
    for words, message in {
        (): "expected exactly one of them",
        ("--format", "trl", "--scenario", "all"): "expected exactly one of them",
        ("--format", "trl", "--set", "scenarios.k=4"): "a run folder is as it is",
        ("--format", "trl", "--arm", "sft", "--task", "rank"): "has select only",
    }.items():
        code, _, error = command(gentool, capsys, "export", "runs/tiny", "--out", "out", *words)
        assert code == 2
        assert message in error
    code, _, error = command(gentool, capsys, "export", ".", "--format", "trl", "--out", "out")
    assert code == 2 and "config.yaml" in error
