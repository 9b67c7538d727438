"""A run that is killed, stopped or refused by the disk, wherever it was, ends as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gentool.jsonl import append_lines
from gentool.llm.cache import CacheError, CallCache
from gentool.lock import locked
from tests.conftest import read_json

if not sys.platform.startswith("linux"):
    pytest.skip("forks after torch is imported, and mounts disks", allow_module_level=True)

LORA: dict[str, Any] = {
    "train__method": "lora",
    "train__lora": {"rank": 4},
    "train__arms": ["gentool"],
    "evaluate__models": ["gentool"],
}


class Machine:
    """Runs the command line in children that end where they are told to (see ``killable.py``)."""

    def __init__(self, *words: str) -> None:
        script = Path(__file__).with_name("killable.py")
        self._server = subprocess.Popen(
            [sys.executable, str(script), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._server.stdout and self._server.stdout.readline() == "ready\n"
        self._references: dict[str, Path] = {}

    def run(self, folder: Path, *words: str, **order: Any) -> int:
        """The exit code of ``gentool`` with these words in ``folder``, negative for a signal."""
        assert self._server.stdin and self._server.stdout
        order |= {"folder": str(folder), "words": words or ("run", "recipe.yaml")}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def kill(self, folder: Path, at: str, count: int = 1) -> None:
        """Kill a run at the ``count``-th event that matches ``at``."""
        assert self.run(folder, at=at, count=count, signal=signal.SIGKILL) == -signal.SIGKILL, at

    def finish(self, folder: Path) -> None:
        assert self.run(folder) == 0, printed(folder)

    def unbroken(self, recipe: Path, tmp_path: Path) -> dict[str, Any]:
        """What a run of this recipe gives that nothing interrupts."""
        text = recipe.read_text(encoding="utf-8").replace(str(tmp_path), "")
        if text not in self._references:
            folder = tmp_path / f"unbroken-{len(self._references)}"
            folder.mkdir()
            (folder / "recipe.yaml").write_bytes(recipe.read_bytes())
            self.finish(folder)
            self._references[text] = folder
        return result(self._references[text])

    def copy(self, recipe: Path, tmp_path: Path) -> Path:
        """The folder of a finished run under ``tmp_path``."""
        self.unbroken(recipe, tmp_path)
        text = recipe.read_text(encoding="utf-8").replace(str(tmp_path), "")
        return Path(shutil.copytree(self._references[text] / "runs", tmp_path / "runs")) / "tiny"

    def close(self) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait(timeout=60)


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.close()


def printed(folder: Path) -> str:
    return " ".join((folder / "printed.txt").read_text(encoding="utf-8").split())


def result(folder: Path) -> dict[str, Any]:
    """All that a run makes, but for times and paths: scenarios, weights, losses, answers (in any order), scores."""
    run = folder / "runs" / "tiny"
    made: dict[str, Any] = {}
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        name = str(path.relative_to(run))
        if path.suffix == ".safetensors":
            made[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".jsonl":
            made[name] = sorted(path.read_text(encoding="utf-8").splitlines())
        elif name in ("scores.json", "scenarios/summary.json"):
            made[name] = json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix != ".lock":
            made[name] = None  # that it is there
    return made


def test_a_run_killed_in_every_step_ends_as_if_unbroken(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    expected = machine.unbroken(recipe(), tmp_path)
    for at, count in [
        (r"^rename .*/config\.yaml", 1),
        (r"^rename .*/scenarios/tools\.jsonl", 1),
        (r"^rename .*/lineage\.json", 1),
        (r"^open .*/base/config\.json", 1),
        (r"^open .*/base/tokenizer_config\.json", 1),
        (r"^step sft", 5),
        (r"^open .*/stages/sft/seed-0/select/config\.json", 1),
        (r"^rename .*/rank/stage\.json", 1),
        (r"^rmdir checkpoint-", 1),  # the manifest is written, the checkpoints are being removed
        (r"^rename .*/lineage\.json", 1),
        (r"^step base", 2),
        (r"^open .*/predictions/sft/seen_query_unseen_tool\.jsonl", 1),
        (r"^rename .*/scores\.json", 1),
        (r"^rename .*/report\.html", 1),
    ]:
        machine.kill(tmp_path, at, count)
    machine.finish(tmp_path)
    assert result(tmp_path) == expected


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_killed_at_random_moments_gives_the_same_weights_and_answers(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path, method: str
) -> None:
    expected = machine.unbroken(recipe(**(LORA if method == "lora" else {})), tmp_path)
    chance = random.Random(f"kill {method}")
    steps, writes = r"^step ", r"/stages/|^remove [^/]*$|^rmdir "
    kills = 0
    while kills < 10:
        at, count = chance.choice([(steps, chance.randint(1, 5)), (writes, chance.randint(1, 60))])
        if machine.run(tmp_path, "train", "recipe.yaml", at=at, count=count, signal=signal.SIGKILL) == 0:
            shutil.rmtree(tmp_path / "runs" / "tiny" / "stages")  # done: train anew, to be killed again
        else:
            kills += 1
    machine.finish(tmp_path)
    assert result(tmp_path) == expected


def test_files_torn_in_the_middle_of_a_write_are_made_anew(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    expected = machine.unbroken(recipe(), tmp_path)
    run = tmp_path / "runs" / "tiny"

    def tear(limit: int) -> None:
        assert machine.run(tmp_path, largest_file=limit, dies=True) == -signal.SIGXFSZ, printed(tmp_path)

    tear(20_000)
    assert [p.stat().st_size for p in run.glob("scenarios/.*.tmp")] == [20_000]
    tear(200_000)
    assert (run / "base").is_dir() and not (run / "base/model.safetensors").exists()
    tear(450_000)
    optimizer = run / "stages/sft/seed-0/select/checkpoints/checkpoint-2/optimizer.pt"
    assert optimizer.stat().st_size == 450_000
    machine.kill(tmp_path, r"^step sft", 3)
    assert optimizer.stat().st_size > 450_000, "whole now"
    tear(450_000)
    assert optimizer.parent.with_name("checkpoint-4").is_dir()
    machine.finish(tmp_path)
    stage = read_json(run / "stages/sft/seed-0/select/stage.json")
    assert stage["metrics"]["resumed_from"] == "checkpoint-2"
    assert result(tmp_path) == expected


def test_a_file_larger_than_allowed_is_a_message(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    expected = machine.unbroken(recipe(), tmp_path)
    # JSON lines, weights (safetensors) and an optimizer's state (torch) fail each in their own way.
    for limit, path in [(20_000, "/scenarios/pairs.jsonl"), (200_000, ""), (450_000, "")]:
        assert machine.run(tmp_path, largest_file=limit) == 2
        text = printed(tmp_path)
        assert f"error: runs/tiny{path}: " in text and "Traceback" not in text
        assert "What was done is kept. Fix: " in text and text.endswith("go on with: gentool run recipe.yaml")
    machine.finish(tmp_path)
    assert result(tmp_path) == expected


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """A disk of its own at ``tmp_path/runs``; call it with mount options to change it."""
    folder = tmp_path / "runs"
    folder.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    try:
        mount("size=64k")
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk needs root on Linux")
    yield lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_message_and_more_space_lets_the_run_go_on(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path, small_disk: Callable[[str], None]
) -> None:
    expected = machine.unbroken(recipe(), tmp_path)
    refused = 0
    for size in range(64, 8000, 384):
        small_disk(f"size={size}k")
        if (code := machine.run(tmp_path)) == 0:
            break
        text = printed(tmp_path)
        assert code == 2 and "Traceback" not in text, text
        assert re.search(
            r"error: runs/tiny\S*: No space left on device \(0.\d MiB free\)\. What was done is kept\. Fix: free some "
            r"space there; then go on with: gentool run recipe\.yaml$",
            text,
        ), text
        refused += 1
    assert refused > 5
    assert result(tmp_path) == expected


def test_a_full_disk_while_models_are_asked_keeps_the_answers(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path, small_disk: Callable[[str], None]
) -> None:
    expected = machine.unbroken(recipe(), tmp_path)
    small_disk("size=16m")
    machine.kill(tmp_path, "^step base", 1)
    used = sum(p.stat().st_blocks for p in (tmp_path / "runs").rglob("*")) // 2
    small_disk(f"size={used + 16}k")
    assert machine.run(tmp_path) == 2
    assert re.search(r"error: runs/tiny/predictions/\S+\.jsonl: No space left", printed(tmp_path))
    small_disk("size=16m")
    machine.finish(tmp_path)
    assert result(tmp_path) == expected


def test_lines_are_appended_all_or_none(tmp_path: Path, small_disk: Callable[[str], None]) -> None:
    path = tmp_path / "runs" / "answers.jsonl"
    with pytest.raises(OSError, match="No space left") as found:
        while True:
            append_lines(path, ["x" * 9, "y" * 6987, "z"])
    assert found.value.filename == str(path)
    assert path.stat().st_size == 65536 // 7000 * 7000


def test_a_full_disk_keeps_the_answers_of_servers(tmp_path: Path, small_disk: Callable[[str], None]) -> None:
    small_disk("size=256k")
    path = tmp_path / "runs" / "calls.sqlite"
    cache = CallCache(path)
    kept = 0
    with pytest.raises(CacheError, match=r"runs/calls\.sqlite: .*full.*Fix: make room on the disk"):
        while True:
            cache.put(f"key {kept}", {"text": "x" * 5000})
            kept += 1
    cache.close()
    small_disk("size=1m")
    cache = CallCache(path)
    assert kept > 10 and all(cache.get(f"key {i}") == {"text": "x" * 5000} for i in range(kept))
    cache.put(f"key {kept}", {"text": "new"})
    cache.close()


def test_a_folder_that_may_not_be_written_to_is_a_message(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path, small_disk: Callable[[str], None]
) -> None:
    recipe()
    small_disk("ro")
    assert machine.run(tmp_path) == 2
    text = printed(tmp_path)
    assert "error: runs/tiny: Read-only file system." in text and "Traceback" not in text
    assert "Fix: make it writable, or write elsewhere (--runs FOLDER); then" in text


@pytest.mark.parametrize("name", ["runs", "runs/tiny", "runs/tiny/scenarios", "runs/tiny/lineage.json"])
def test_something_in_the_way_is_a_message(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    recipe()
    path = tmp_path / name
    if path.suffix:
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("")
    assert machine.run(tmp_path, "build", "recipe.yaml") == 2
    text = printed(tmp_path)
    assert f"error: {name}" in text and "Fix: move what is in the way" in text and "Traceback" not in text


def test_another_method_leaves_nothing_of_the_first_behind(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    expected = machine.unbroken(recipe(), tmp_path)
    run = machine.copy(recipe(**LORA), tmp_path)
    assert list(run.glob("stages/gentool/*/*/adapter_config.json"))
    recipe()
    assert machine.run(tmp_path, "train", "recipe.yaml") == 0
    assert not list(run.glob("stages/*/*/*/adapter_*")), "an adapter would be loaded in place of the weights"
    weights = [k for k in expected if k.startswith("stages/gentool") and k.endswith(".safetensors")]
    assert weights and all(result(tmp_path)[k] == expected[k] for k in weights)


def test_signals_stop_at_the_next_safe_point_and_say_how_to_go_on(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    expected = machine.unbroken(recipe(), tmp_path)
    for number, at in [
        (signal.SIGTERM, r"^open .*/scenarios/"),
        (signal.SIGTERM, r"^step sft"),
        (signal.SIGINT, r"^open .*checkpoint-\d+/trainer_state.json"),
        (signal.SIGINT, r"^step base"),
        (signal.SIGTERM, r"^step gentool.*unseen_tool"),
    ]:
        assert machine.run(tmp_path, at=at, count=1, signal=number) == 128 + number
        assert "what was done is kept. To go on: gentool run recipe.yaml" in printed(tmp_path)
    machine.finish(tmp_path)
    assert result(tmp_path) == expected


def test_damaged_files_are_made_anew(machine: Machine, recipe: Callable[..., Path], tmp_path: Path) -> None:
    expected = machine.unbroken(recipe(), tmp_path)
    run = machine.copy(recipe(), tmp_path)
    names = ["lineage.json", "config.yaml", "scores.json", "scenarios/summary.json", "scenarios/tools.jsonl"]
    names += ["stages/sft/seed-0/select/stage.json", "base/tokenizer.json"]
    names += ["stages/gentool/seed-0/select/model.safetensors"]
    for number, name in enumerate(names):
        damage(run / name, list(DAMAGE)[number % len(DAMAGE)])
    machine.finish(tmp_path)
    assert "lineage.json is damaged" in printed(tmp_path)
    assert result(tmp_path) == expected


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "garbage": lambda data: b"\x00\xff\x13" * 50,
    "another value": lambda data: b"[1, 2]",
    "nothing in it": lambda data: b"{}",
}


def damage(path: Path, how: str) -> None:
    path.write_bytes(DAMAGE[how](path.read_bytes()))


def test_a_report_of_damaged_files_is_a_message_or_a_report(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    run = machine.copy(recipe(), tmp_path)
    for name in ["lineage.json", "config.yaml", "scores.json", "scenarios/summary.json"]:
        whole = (run / name).read_bytes()
        for how in DAMAGE:
            damage(run / name, how)
            code = machine.run(tmp_path, "report", "runs/tiny")
            text = printed(tmp_path)
            assert code in (0, 2) and "Traceback" not in text, (name, how, text)
            assert code == 0 or ("error: " in text and "Fix: " in text), (name, how, text)
            (run / name).write_bytes(whole)


def test_a_second_run_in_a_folder_ends_at_once_and_a_report_may_read(
    machine: Machine, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    run = machine.copy(recipe(), tmp_path)
    with locked(run):
        assert machine.run(tmp_path) == 2
        text = printed(tmp_path)
        assert f"error: runs/tiny is in use by process {os.getpid()} on " in text and " since 2" in text
        assert "Fix: wait until that run is done" in text
        assert machine.run(tmp_path, "report", "runs/tiny") == 0
    machine.finish(tmp_path)
