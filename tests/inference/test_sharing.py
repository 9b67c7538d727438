"""Prompts with shared prefixes give the texts and likelihoods that each gives on its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gentool.inference import transformers as backends
from gentool.inference.backend import Completion
from gentool.inference.prefix_cache import PrefixCache
from gentool.inference.transformers import TransformersBackend
from gentool.models import ModelError, load_model, load_tokenizer
from gentool.prompting.renderer import Renderer
from tests.models.tiny import save_tiny

FULL: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "qwen3": {},
    "llama": {},
    "mistral": {"sliding_window": None},
    "gemma": {},
    "olmo2": {},
    "phi3": {"sliding_window": None},
}
WINDOWED: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 24},
    "gemma2": {"sliding_window": 24},
    "gemma3_text": {"sliding_window": 24},
}


def save_lively(folder: Path, model_type: str, changes: dict[str, Any]) -> str:
    """A tiny model whose answers depend on its prompt: fresh weights are so small that it hardly looks."""
    path = save_tiny(folder, model_type, **changes)
    weights = load_file(folder / "model.safetensors")
    larger = {n: w * 8 if "proj" in n or "embed" in n else w for n, w in weights.items()}
    save_file(larger, folder / "model.safetensors", metadata={"format": "pt"})
    return path


def add_lora(base: str, folder: Path) -> str:
    """The model with an adapter that changes its answers."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(load_model(base, torch.float32), LoraConfig(r=2, target_modules="all-linear"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
    return str(folder)


def make_prompts(seed: int = 0) -> list[list[int]]:
    """Two tool lists of different lengths with queries of different lengths, and two prompts unlike all others."""
    rng = random.Random(seed)

    def tokens(count: int) -> list[int]:
        return [rng.randrange(10, 260) for _ in range(count)]

    header = tokens(6)
    lists = [header + tokens(150), header + tokens(90)]
    prompts = [prefix + tokens(rng.randint(1, 30)) for prefix in lists for _ in range(7)]
    prompts += [tokens(40), tokens(70), prompts[0]]
    rng.shuffle(prompts)
    return prompts


PROMPTS = make_prompts()


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., tuple[TransformersBackend, list[str]]]:
    """``made(path, **options)``: a backend, and what it says."""

    def make(path: str, **options: Any) -> tuple[TransformersBackend, list[str]]:
        said: list[str] = []
        options = {"dtype": "float32", "batch_size": 4, **options}
        return TransformersBackend(path, Renderer(load_tokenizer(path)), say=said.append, **options), said

    return make


def complete(backend: TransformersBackend, prompts: list[list[int]] = PROMPTS) -> list[Completion]:
    found = {i: c for batch in backend.complete(prompts, 12) for i, c in batch}
    return [found[i] for i in range(len(prompts))]


@contextmanager
def counted(model: Any) -> Iterator[list[int]]:
    """How many tokens each pass through the model reads, padding too."""
    sizes: list[int] = []
    handle = model.get_input_embeddings().register_forward_pre_hook(
        lambda _, ids: sizes.append(ids[0].numel())
    )
    try:
        yield sizes
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("model_type", "batch_size"), [*((kind, 4) for kind in FULL), ("qwen3", 1), ("qwen3", 32)]
)
def test_the_same_texts(tmp_path: Path, made: Callable[..., Any], model_type: str, batch_size: int) -> None:
    path = save_lively(tmp_path, model_type, FULL[model_type])
    backend, said = made(path, batch_size=batch_size)
    plain, _ = made(path, batch_size=batch_size, share=False)
    alone = complete(plain)
    assert len({c.text for c in alone}) > 8, "the prompts are told apart"
    assert complete(backend) == alone
    rests = sum(map(len, PROMPTS)) - 8 * 156 - 7 * 96
    assert said == [f"17 prompts: {156 + 96 + rests:,} of {sum(map(len, PROMPTS)):,} tokens are computed"]


def test_each_prefix_is_read_once(tmp_path: Path, made: Callable[..., Any]) -> None:
    path = save_lively(tmp_path, "qwen3", {})
    backend, _ = made(path)
    complete(backend)  # the first call checks against plain passes
    with counted(backend.model) as sizes:
        complete(backend)
    assert [s for s in sizes if s in (156, 96)] == [156, 96]
    plain, _ = made(path, share=False)
    with counted(plain.model) as whole:
        complete(plain)
    assert sum(sizes) < 0.6 * sum(whole)


@pytest.mark.parametrize("model_type", WINDOWED)
def test_windows_do_not_share_and_say_so_once(
    tmp_path: Path, made: Callable[..., Any], model_type: str
) -> None:
    path = save_lively(tmp_path, model_type, WINDOWED[model_type])
    backend, said = made(path)
    plain, _ = made(path, share=False)
    assert complete(backend) == complete(plain) == complete(backend)
    total = sum(map(len, PROMPTS))
    assert said == [
        "prompts do not share their beginnings: the model has layers that do not keep every token (sliding windows)",
        *[f"17 prompts: {total:,} of {total:,} tokens are computed"] * 2,
    ]


def test_what_is_not_exact_is_found_before_anything_is_answered(
    tmp_path: Path, made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window of which the configuration would say nothing: padding within a row would push tokens out of it."""
    path = save_lively(tmp_path, "mistral", {"sliding_window": 24})
    monkeypatch.setattr(backends, "obstacle", lambda *_: None)
    backend, said = made(path)
    plain, _ = made(path, share=False)
    assert complete(backend) == complete(plain)
    assert said[0] == "prompts do not share their beginnings: the model's answers would differ"


def test_positions_that_depend_on_the_longest_prompt(tmp_path: Path, made: Callable[..., Any]) -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    path = save_lively(tmp_path, "llama", {"rope_parameters": rope, "max_position_embeddings": 190})
    backend, said = made(path)
    list(backend.complete(PROMPTS, 1))
    assert "positions" not in said[0], "all fit"
    reason = backends.obstacle(backend.model, 200)
    assert reason is not None and "beyond 190 tokens" in reason


def test_few_or_short_prompts_are_read_as_they_are(tmp_path: Path, made: Callable[..., Any]) -> None:
    backend, said = made(save_lively(tmp_path, "qwen3", {}))
    one, two = PROMPTS[0], [*PROMPTS[0][:-1], 5]
    with counted(backend.model) as sizes:
        list(backend.complete([one], 1))
        list(backend.complete([one, two], 1))
    assert sizes == [len(one), 2 * len(one)]
    assert said[0] == f"1 prompts: {len(one)} of {len(one)} tokens are computed"


def test_lora(tmp_path: Path, made: Callable[..., Any]) -> None:
    base = save_lively(tmp_path / "base", "qwen3", {})
    path = add_lora(base, tmp_path / "adapter")
    backend, said = made(path)
    plain, _ = made(path, share=False)
    answers = complete(plain)
    assert complete(backend) == answers != complete(made(base)[0])
    assert len(said) == 1 and "of" in said[0]


def test_four_bits(tmp_path: Path, made: Callable[..., Any]) -> None:
    pytest.importorskip("bitsandbytes")
    sizes = {"hidden_size": 64, "intermediate_size": 64, "head_dim": 32}
    path = save_lively(tmp_path, "qwen3", sizes)
    texts = []
    for share in (True, False):
        backend, said = made(path, four_bit=True, share=share)
        texts.append([c.text for c in complete(backend)])
        total = sum(map(len, PROMPTS))
        assert (f"{total:,} of {total:,}" in said[-1]) == (not share)
    assert texts[0] == texts[1]


def test_stops_between_batches(tmp_path: Path, made: Callable[..., Any]) -> None:
    backend, _ = made(save_lively(tmp_path, "qwen3", {}))
    done: list[int] = []
    for batch in backend.complete(PROMPTS, 2, lambda: len(done) >= 8):
        done.extend(i for i, _ in batch)
    assert len(done) == 8
    scored = backend.score(PROMPTS, [[[5]]] * len(PROMPTS), lambda: len(done) >= 12)
    for batch in scored:
        done.extend(i for i, _ in batch)
    assert len(done) == 12


def make_continuations() -> list[list[list[int]]]:
    rng = random.Random(1)
    sizes = [[rng.randint(1, 9) for _ in range(rng.randint(1, 6))] for _ in PROMPTS]
    return [[[rng.randrange(10, 260) for _ in range(n)] for n in some] for some in sizes]


def one_by_one(backend: TransformersBackend, continuations: list[list[list[int]]]) -> list[list[float]]:
    """Log-likelihoods by one plain pass for each continuation."""
    found = []
    for prompt, some in zip(PROMPTS, continuations, strict=True):
        found.append([])
        for tokens in some:
            with torch.inference_mode():
                logits = backend.model(input_ids=torch.tensor([prompt + tokens]), use_cache=False).logits[0]
            each = torch.log_softmax(logits, dim=-1)[len(prompt) - 1 : -1]
            found[-1].append(sum(row[t].item() for row, t in zip(each, tokens, strict=True)))
    return found


@pytest.mark.parametrize(
    ("model_type", "share"),
    [*((kind, True) for kind in FULL), ("llama", False), *((f"window {kind}", True) for kind in WINDOWED)],
)
def test_likelihoods_are_those_of_plain_passes(
    tmp_path: Path, made: Callable[..., Any], model_type: str, share: bool
) -> None:
    kind = model_type.removeprefix("window ")
    path = save_lively(tmp_path, kind, (FULL if kind == model_type else WINDOWED)[kind])
    # Gemma 2's attention (eager: its scores are capped) computes its softmax in float32, whatever the weights.
    dtype, tolerance = ("float32", 1e-4) if kind == "gemma2" else ("float64", 1e-9)
    backend, _ = made(path, dtype=dtype, share=share)
    continuations = make_continuations()
    found = {i: scores for batch in backend.score(PROMPTS, continuations) for i, scores in batch}
    wanted = one_by_one(backend, continuations)
    assert len({round(s) for some in wanted for s in some}) > 10
    for i, scores in enumerate(wanted):
        assert found[i] == pytest.approx(scores, abs=tolerance)


def test_likelihoods_with_an_adapter(tmp_path: Path, made: Callable[..., Any]) -> None:
    path = add_lora(save_lively(tmp_path / "base", "llama", {}), tmp_path / "adapter")
    backend, _ = made(path, dtype="float64")
    continuations = make_continuations()
    found = {i: scores for batch in backend.score(PROMPTS, continuations) for i, scores in batch}
    wanted = one_by_one(backend, continuations)
    assert [found[i] for i in range(len(PROMPTS))] == [pytest.approx(s, abs=1e-9) for s in wanted]


def test_scoring_reads_no_prompt_twice(tmp_path: Path, made: Callable[..., Any]) -> None:
    backend, said = made(save_lively(tmp_path, "qwen3", {}), batch_size=32)
    continuations = [[[n, n] for n in range(10, 16)]] * len(PROMPTS)
    list(backend.score(PROMPTS, continuations))
    with counted(backend.model) as sizes:
        list(backend.score(PROMPTS, continuations))
    assert sizes[:2] == [156, 96] and max(sizes[2:]) < 15 * 32
    assert "of" in said[0]


def test_what_the_model_cannot_read_whole(tmp_path: Path, made: Callable[..., Any]) -> None:
    backend, _ = made(save_lively(tmp_path, "qwen3", {"max_position_embeddings": 190}))
    longest = max(map(len, PROMPTS))
    with pytest.raises(
        ModelError, match=f"{longest} tokens and what is scored has up to 30; the model reads 190"
    ):
        list(backend.score(PROMPTS, [[[5] * 30]] * len(PROMPTS)))
    with pytest.raises(ModelError, match="the answer may have 30; the model reads 190"):
        list(backend.complete(PROMPTS, 30))


def test_the_check_sees_a_wrong_cache(
    tmp_path: Path, made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, said = made(save_lively(tmp_path, "llama", {}))
    right = PrefixCache._start

    def spoiled(self: PrefixCache, prefixes: Any) -> Any:
        cache = right(self, prefixes)
        for layer in cache.layers:
            layer.values = layer.values.flip(-2)
        return cache

    monkeypatch.setattr(PrefixCache, "_start", spoiled)
    list(backend.complete(PROMPTS, 1))
    assert "would differ" in said[0]
