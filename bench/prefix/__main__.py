from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import bench.prefix
from bench.prefix.lines import Line, Setting, Worker, candidates, try_out
from bench.prefix.samples import SHAPES, tool_list

from gentool.prompting.renderer import Rendered

TRIAL = 8
"""Samples of a step while micro-batch sizes are tried, or more where a size asks for it."""


def ratios(over: Sequence[float], under: Sequence[float]) -> dict[str, float]:
    """Of times measured in turn, repeat by repeat."""
    found = [a / b for a, b in zip(over, under, strict=True)]
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


def choose(setting: Setting, rows: Sequence[Rendered], sizes: Sequence[int]) -> tuple[list[Line], list[Any]]:
    """The fastest candidate of each line, and what the trial found."""
    trial = replace(setting, step=min(setting.step, math.lcm(TRIAL, *sizes)))
    steps = [rows[n : n + trial.step] for n in range(0, len(rows), setting.step)][:3]
    chosen, log = [], []
    for lines in candidates(setting.device, sizes):
        times = try_out(trial, lines, [r for s in steps for r in s]) if len(lines) > 1 else [0.0]
        chosen.append(lines[times.index(min(times))])
        log += [{**asdict(line), "seconds": round(t, 3)} for line, t in zip(lines, times, strict=True) if t]
    packs = next(line for line in chosen if line.kind in ("packed", "padding_free"))
    return chosen + ([replace(packs, targets_only=False)] if packs.targets_only else []), log


def compare(
    setting: Setting, lines: Sequence[Line], rows: Sequence[Rendered], repeats: int, unique: int
) -> dict[str, Any]:
    """Steps of all lines in turn; on a GPU one line after the other, for its memory. ``unique``: tokens of a step."""
    found: dict[str, Any] = {}
    for group in [lines] if setting.device == "cpu" else [[line] for line in lines]:
        workers = [Worker(line, setting, rows) for line in group]
        times = [[worker.step() for worker in workers] for _ in range(repeats + 1)][1:]
        for line, worker, seconds in zip(group, workers, zip(*times, strict=True), strict=True):
            ended = worker.close()
            middle = statistics.median(seconds)
            found[line.name] = {
                **asdict(line),
                "seconds": [round(s, 4) for s in seconds],
                "samples_per_second": round(setting.step / middle, 3),
                "unique_tokens_per_second": round(unique / middle, 1),
                "peak_megabytes": round(ended["peak_bytes"] / 1e6),
                "first_loss": ended["losses"][0],
            }
    return found


def machine(device: str) -> str:
    """What it ran on, in words."""
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name())
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} CPUs"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.prefix", description=bench.prefix.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a smaller model and less of everything")
    parser.add_argument("--shape", choices=sorted(SHAPES), help="default: medium, with --quick tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=None)
    parser.add_argument("--bf16", action="store_true", help="autocast, as Trainer does it; usual on a GPU")
    parser.add_argument(
        "--weights",
        choices=("float32", "bfloat16"),
        default="float32",
        help="bfloat16 where AdamW in float32 does not fit (8B)",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=None, help="measured steps of each line")
    parser.add_argument("--prefix", type=int, default=700, help="tokens of a tool list")
    parser.add_argument("--queries", type=int, default=10, help="queries of a list")
    parser.add_argument("--lists", type=int, default=None, help="lists of a step: 2, with --quick 1")
    parser.add_argument("--sizes", type=int, nargs="+", default=None, help="micro-batch sizes to try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=("lines", "exact", "sweep", "own"), default=None)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    load = os.getloadavg()

    import torch
    from bench.prefix import checks

    from gentool.training.shared_prefix.tree import unique_tokens

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(options.threads)
    name = options.shape or ("tiny" if options.quick else "medium")
    shape = SHAPES[name]
    repeats = options.repeats or (2 if options.quick else 3)
    wanted = options.only or ("lines", "exact", "sweep", "own")
    per_step = options.lists or (1 if options.quick else 2)
    step = per_step * 2 * options.queries
    setting = Setting(shape, options.seed, options.threads, device, options.weights, options.bf16, step)
    # The first step warms up, and one more than is run: batches are made a step ahead.
    lists = [
        tool_list(options.prefix, options.queries, shape.vocabulary, options.seed + n)
        for n in range(per_step * (repeats + 2))
    ]
    rows = [row for one in lists for row in one]
    unique = sum(unique_tokens(one) for one in lists) // (repeats + 2)
    ratio = sum(len(row.ids) for row in rows) / (unique * (repeats + 2))
    begun = time.time()
    result: dict[str, Any] = {
        "what": "optimizer steps of TRL's SFTTrainer and of GenTool, plain and with shared prefixes",
        "quick": options.quick,
        "machine": machine(device),
        "threads": options.threads,
        "load_average_at_start": [round(x, 2) for x in load],
        "versions": {
            n: version(n)
            for n in ("torch", "transformers", "trl", "accelerate", "flash_attn")
            if find_spec(n) is not None
        },
        "model": {"shape": name, **asdict(shape), "weights": options.weights, "bf16": options.bf16},
        "samples": {
            "prefix": options.prefix,
            "queries": options.queries,
            "lists_per_step": per_step,
            "samples_per_step": step,
            "tokens_per_step": round(unique * ratio),
            "unique_tokens_per_step": unique,
            "seed": options.seed,
        },
    }
    last: dict[str, Any] = {"token_ratio": round(ratio, 3)}
    print(f"{result['machine']}, {options.threads} threads; model {name}; token ratio {ratio:.2f}")
    if "lines" in wanted:
        tried = options.sizes or ([1, 4] if options.quick else [1, 2, 4, 8])
        sizes = [n for n in tried if step % n == 0]
        lines, result["trial"] = choose(setting, rows, sizes)
        found = result["lines"] = compare(setting, lines, rows, repeats, unique)
        last |= headline(found, ratio)
        print_lines(found, last["best_trl"])
    if "exact" in wanted:
        last |= checks.exactness(shape, lists[0], options.seed, device)
    small = replace(shape, layers=min(2, shape.layers)) if device == "cpu" else shape
    if "sweep" in wanted:
        prefixes = (16, 256, 1024) if options.quick else (16, 64, 256, 512, 1024, 2048, 4096)
        numbers = (1, 4, 16) if options.quick else (1, 2, 4, 8, 16, 32)
        limits = (1, 3, 1.0) if options.quick else (1, 7, 1.5)
        bare = checks.Bare(small, options.seed, device, options.bf16)
        result["sweep"] = {"layers": small.layers, "limits": limits, "cells": []}
        print(
            f"\nforward and backward, {small.layers} layers: plain / shared, by tokens shared and samples sharing"
        )
        for cell in checks.sweep(small, prefixes, numbers, bare, limits):
            result["sweep"]["cells"].append(cell)
            print(f"{cell['prefix']:>6} x {cell['branches']:<3}{described(cell)}", flush=True)
        del bare
    if "own" in wanted and find_spec("trl") is not None:
        import trl

        template = Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"
        steps = (16,) if options.quick else (4, 16, 64)
        own = checks.own_pairs(small, template, steps, (2, 5, 10.0), device, options.bf16)
        result["own_pairs"] = own
        print("\nthe package's pairs, qwen3.jinja")
        for stage in own["stages"]:
            print("  {schedule}, {stage}: {step} samples a step, token ratio {token_ratio}".format(**stage))
        print(f"  a step of the last:{described(own['timed'])}")
    result["seconds"] = round(time.time() - begun)
    result["load_average_at_end"] = [round(x, 2) for x in os.getloadavg()]
    device_name = "cpu" if device == "cpu" else "-".join(machine(device).lower().split())
    out = options.out or Path(f"bench/results/prefix-{device_name}{'-quick' if options.quick else ''}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**result, **last}, indent=2) + "\n", encoding="utf-8")
    print(f"\n{out}, after {result['seconds']} s")
    print(json.dumps(last))


def described(cell: dict[str, Any]) -> str:
    """A measurement of :meth:`Bare.speed_up` in a line."""
    ratio, packed, speed = (cell[key] for key in ("token_ratio", "ratio_in_packs", "speed_up"))
    low, high = cell["spread"]
    return (
        f" token ratio {ratio:>6.2f}, in packs {packed:>6.2f}  speed-up {speed:>6.2f} [{low:.2f}, {high:.2f}]"
        f"  gate: {cell['gate']}"
    )


def headline(found: dict[str, Any], ratio: float) -> dict[str, Any]:
    """The ratios of the lines' times, by medians; ``fraction_of_token_ratio`` is of the speed-up over plain batches.

    The best TRL line is the fastest one, the loss switched by hand or not; ``..._as_installed`` is without.
    """
    times = {name: line["seconds"] for name, line in found.items()}
    shared = times["gentool shared"]
    theirs = [name for name in times if name.startswith("trl")]
    bases = {"best_trl": theirs, "plain": ["gentool plain"]}
    if any(found[name]["targets_only"] for name in theirs):
        bases["best_trl_as_installed"] = [name for name in theirs if not found[name]["targets_only"]]
    answer: dict[str, Any] = {}
    for base, names in bases.items():
        best = min(names, key=lambda name: statistics.median(times[name]))
        to = ratios(times[best], shared)
        answer |= {
            f"ratio_to_{base}": round(to["median"], 3),
            f"ratio_to_{base}_spread": [round(to["min"], 3), round(to["max"], 3)],
        }
        if base != "plain":
            answer[base] = best
    return answer | {"fraction_of_token_ratio": round(answer["ratio_to_plain"] / ratio, 3)}


def print_lines(found: dict[str, Any], best: str) -> None:
    """A table; ``best``: the line that the others are compared with."""
    print(
        f"\n{'':<31}{'size':>4}{'samples/s':>11}{'unique tok/s':>14}{'peak MB':>9}{'first loss':>12}   x {best}"
    )
    for name, line in found.items():
        to = ratios(found[best]["seconds"], line["seconds"])
        print(
            f"{name:<31}{line['size']:>4}{line['samples_per_second']:>11.2f}"
            f"{line['unique_tokens_per_second']:>14.0f}{line['peak_megabytes']:>9}{line['first_loss']:>12.5f}"
            f"   {to['median']:.2f} [{to['min']:.2f}, {to['max']:.2f}]"
        )


if __name__ == "__main__":
    main()
