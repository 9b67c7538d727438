"""Time of evaluation with the prompts' common beginnings computed once, against each prompt on its own.

    python bench/evaluate.py [--repeats 5] [--out bench/results/evaluate-cpu.json]

A small random model is asked prompts of random tokens: a few tool lists of 700 tokens, ten queries each. Both ways run
in turn in one process, and so do rankings that are generated and rankings that are scored; ratios are taken pair by
pair. What both ways find is the same (tests/inference/test_sharing.py). Each model's one check of the first prompts
against plain passes is left out: it is made in the warm-up. On a CPU one thread is used and its own time is counted, so
that other work on the machine disturbs little.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gentool.config import ModelConfig
from gentool.inference.transformers import TransformersBackend
from gentool.models import device, load_tokenizer, make_base
from gentool.prompting.renderer import Renderer

SHAPE = {"architecture": "qwen3", "hidden_size": 128, "layers": 4, "heads": 4, "key_value_heads": 2}
QUERY_TOKENS = 40
CALL_TOKENS, RANKING_TOKENS = 40, 20
"""Written for a call and for a ranking; a random model does not end before."""
TOOLS, NAME_TOKENS = 6, 6


def make_prompts(rng: random.Random, vocabulary: int, options: argparse.Namespace) -> list[list[int]]:
    """Tool lists x queries, with a header that all have."""

    def tokens(count: int) -> list[int]:
        return [rng.randrange(20, vocabulary) for _ in range(count)]

    header = tokens(20)
    found = []
    for _ in range(options.lists):
        shared = header + tokens(options.list_tokens - len(header))
        queries = [tokens(QUERY_TOKENS + rng.randint(-15, 15)) for _ in range(options.queries)]
        found += [shared + query for query in queries]
    rng.shuffle(found)
    return found


def compare(
    slow: Callable[[], object], fast: Callable[[], object], repeats: int, names: Sequence[str]
) -> dict[str, Any]:
    """Seconds of both, run in turn, and the ratios pair by pair."""

    clock = time.process_time if device().type == "cpu" else time.perf_counter

    def seconds(work: Callable[[], object]) -> float:
        begun = clock()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return clock() - begun

    seconds(slow), seconds(fast)
    times = [(seconds(slow), seconds(fast)) for _ in range(repeats)]
    ratios = sorted(a / b for a, b in times)
    return {
        f"{names[0]}_seconds": round(statistics.median(a for a, _ in times), 3),
        f"{names[1]}_seconds": round(statistics.median(b for _, b in times), 3),
        "ratio": {
            "min": round(ratios[0], 2),
            "median": round(statistics.median(ratios), 2),
            "max": round(ratios[-1], 2),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--lists", type=int, default=4)
    parser.add_argument("--list-tokens", type=int, default=700)
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path(f"bench/results/evaluate-{device().type}.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(0)
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        config = ModelConfig.model_validate({"random_init": {**SHAPE, "vocabulary": 4096}})
        text = "".join(chr(33 + rng.randrange(90)) for _ in range(20_000))
        make_base(config, [text], 0, Path(folder))
        renderer = Renderer(load_tokenizer(folder))
        renderer.stop_ids = [renderer.tokenizer.pad_token_id]  # or answers would end by chance

        def backend(share: bool) -> TransformersBackend:
            return TransformersBackend(
                folder, renderer, batch_size=options.batch_size, share=share, say=said.append
            )

        alone, shared = backend(False), backend(True)
    vocabulary = shared.model.config.vocab_size
    prompts = make_prompts(rng, vocabulary, options)
    continuations = [
        [[rng.randrange(20, vocabulary) for _ in range(NAME_TOKENS)] for _ in range(TOOLS)] for _ in prompts
    ]

    def write(model: TransformersBackend, tokens: int) -> object:
        return list(model.complete(prompts, tokens))

    def score(model: TransformersBackend) -> object:
        return list(model.score(prompts, continuations))

    names = ("alone", "shared")
    result = {
        "what": "seconds to answer all prompts, each on its own / common beginnings computed once",
        "prompts": len(prompts),
        "list_tokens": options.list_tokens,
        "batch_size": options.batch_size,
        "repeats": options.repeats,
        "calls": compare(
            lambda: write(alone, CALL_TOKENS), lambda: write(shared, CALL_TOKENS), options.repeats, names
        ),
        "generated_rankings": compare(
            lambda: write(alone, RANKING_TOKENS),
            lambda: write(shared, RANKING_TOKENS),
            options.repeats,
            names,
        ),
        "scored_rankings": compare(lambda: score(alone), lambda: score(shared), options.repeats, names),
        "rankings": compare(
            lambda: write(shared, RANKING_TOKENS),
            lambda: score(shared),
            options.repeats,
            ("generated", "scored"),
        ),
        "tokens": said[-1],
        "call_tokens": CALL_TOKENS,
        "ranking_tokens": RANKING_TOKENS,
        "parameters": sum(p.numel() for p in shared.model.parameters()),
        "dtype": str(shared.model.dtype),
        "machine": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "versions": {name: version(name) for name in ("torch", "transformers")},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
