from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from tests.llm.fake_server import body_hash
from tests.synthesis.scripted import tool

from gentool.jsonl import write_jsonl

WINDOW = 0.25
"""Seconds from sending an answer to its write on the disk that are forgiven at a kill."""

LATENCY = (0.1, 0.3)
REQUESTS = (80.0, 20.0)
AT_ONCE, LONG = 32, (0.2, 0.6)
TOKENS = (60_000.0, 15_000.0)


class Server:
    """The scripted teacher, in another process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.synthesis.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()

    def report(self, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """What it counted so far; with settings it begins anew."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(settings) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=60)


def write_recipe(folder: Path, url: str, tools: int) -> Path:
    write_jsonl(folder / "tools.jsonl", [tool(i) for i in range(tools)])
    teacher = {"model": "scripted", "base_url": url, "concurrency": 64}
    tree = {"name": "bench", "synthesis": {"tools": "tools.jsonl", "teacher": teacher}}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def start(folder: Path, runs: str) -> subprocess.Popen[bytes]:
    gentool = str(Path(sys.executable).with_name("gentool"))
    command = [gentool, "synthesize", "recipe.yaml", "--yes", "--runs", runs]
    with (folder / f"{runs}.txt").open("ab") as printed:
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed)


def finish(process: subprocess.Popen[bytes], folder: Path, runs: str) -> None:
    if process.wait(timeout=600) != 0:
        raise SystemExit((folder / f"{runs}.txt").read_text(encoding="utf-8")[-2000:])


def whole(server: Server, folder: Path, runs: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A run without interruption under some limits."""
    server.report({"latency": LATENCY, **settings})
    finish(start(folder, runs), folder, runs)
    found = server.report()
    seconds = found["last"] - found["first"]
    if "requests" in settings:
        rate, burst = settings["requests"]
        fraction = found["answered"] / (rate * seconds + burst)
    elif "tokens" in settings:
        rate, burst = settings["tokens"]
        fraction = found["tokens"] / (rate * seconds + burst)
    else:
        fraction = found["worked"] / (settings["at_once"] * seconds)
    return {
        **settings,
        "throughput_fraction": round(fraction, 3),
        "answered": found["answered"],
        "refused": found["refused"],
        "seconds": round(seconds, 2),
        "answers_per_second": round(found["answered"] / seconds, 1),
    }


def on_disk(folder: Path) -> tuple[set[str], set[str]]:
    """Hashes of the requests whose answers are in the cache, and the whole lines of the units."""
    cache, units = folder / "cache" / "teacher.sqlite", folder / "synthesis" / "units.jsonl"
    kept: set[str] = set()
    if cache.is_file():
        with closing(sqlite3.connect(f"{cache.as_uri()}?mode=ro", uri=True)) as base:
            try:
                kept = {body_hash(json.loads(row[0])) for row in base.execute("SELECT request FROM calls")}
            except sqlite3.OperationalError:  # killed before the table was made
                kept = set()
    lines = units.read_bytes().split(b"\n")[:-1] if units.is_file() else []
    return kept, {str(json.loads(line)["seed"]) for line in lines}


@dataclass(frozen=True)
class Kill:
    """``at``: when the signal was sent; ``dead``: when the process was gone; ``kept``: what the cache held then."""

    at: float
    dead: float
    kept: set[str]


def killed(server: Server, folder: Path, runs: str, kills: int, seed: int) -> dict[str, Any]:
    """A run that is killed at random moments of its work and resumed each time."""
    rng = random.Random(seed)
    server.report({"latency": LATENCY, "requests": REQUESTS, "retry_after": True})
    run = folder / runs / "bench"
    moments: list[Kill] = []
    units: set[str] = set()
    for _ in range(kills):
        process = start(folder, runs)
        before = server.report()["received"]
        while server.report()["received"] == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 1.8))
        if process.poll() is not None:
            break
        at = time.monotonic()
        process.kill()
        process.wait()
        dead = time.monotonic()
        kept, seen = on_disk(run)
        moments.append(Kill(at, dead, kept))
        units |= seen
    finish(start(folder, runs), folder, runs)
    found = server.report()
    repeated, ages = judge(found["repeated"], moments)
    _, seen = on_disk(run)
    return {
        "kills": len(moments),
        "units_lost": len(units - seen),
        "repeated_calls": repeated,
        "under_way_at_kills": sum(age > 0 for age in ages),
        "longest_under_way_seconds": round(max([0.0, *ages]), 4),
        "sent_after_kills": sum(age <= 0 for age in ages),
        "answered": found["answered"],
        "different_requests": len(on_disk(run)[0]),
    }


def judge(repeated: dict[str, list[float]], moments: list[Kill]) -> tuple[int, list[float]]:
    """How many answers were asked for again for no good reason, and how old the others were at the kill, in seconds.

    Those below 0 were sent when the process had been killed and was not gone yet.
    """
    wrong, ages = 0, []
    for key, times in repeated.items():
        for sent in times[:-1]:
            kill = next((k for k in moments if k.dead > sent), None)
            if kill is None or key in kill.kept or kill.at - sent > WINDOW:
                wrong += 1
            else:
                ages.append(kill.at - sent)
    return wrong, ages


def pairs(folder: Path) -> dict[str, Any]:
    lines = (folder / "bench" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return {str(found["tools"]): found for found in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.synthesis")
    parser.add_argument("--tools", type=int, default=286, help="7 requests each")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--out", type=Path, default=Path("bench/results/synthesis.json"))
    options = parser.parse_args()
    server = Server()
    try:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_recipe(folder, server.url, options.tools)
            limits: dict[str, dict[str, Any]] = {
                "requests": {"requests": REQUESTS, "retry_after": True},
                "at_once": {"at_once": AT_ONCE, "latency": LONG},
                "tokens": {"tokens": TOKENS, "retry_after": True},
            }
            runs = {name: whole(server, folder, name, settings) for name, settings in limits.items()}
            kills = killed(server, folder, "killed", options.kills, options.seed)
            expected, found = pairs(folder / "requests"), pairs(folder / "killed")
    finally:
        server.close()
    lost = sum(found.get(key) != pair for key, pair in expected.items()) + kills.pop("units_lost")
    summary = {
        "throughput_fraction": min(run["throughput_fraction"] for run in runs.values()),
        "lost_records": lost,
        "repeated_calls": kills["repeated_calls"],
        "kills": kills["kills"],
    }
    result = {
        **summary,
        "runs": runs,
        "killed": kills,
        "pairs": len(expected),
        "settings": {"latency": LATENCY, "window": WINDOW, "tools": options.tools, "seed": options.seed},
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": [round(load, 2) for load in os.getloadavg()],
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in ("gentool", "openai")},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({name: result[name] for name in ("runs", "killed")}, indent=2))
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
