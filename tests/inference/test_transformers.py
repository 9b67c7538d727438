"""Greedy generation: what a prompt is answered with depends on the prompt alone."""

from __future__ import annotations

import random

import pytest
from safetensors.torch import load_file, save_file

from gentool.config import ModelConfig
from gentool.inference.backend import Completion
from gentool.inference.transformers import TransformersBackend
from gentool.models import load_tokenizer, make_base
from gentool.prompting.renderer import Renderer

WORDS = [a + b for a in ("rain", "wind", "Zür", "Lyon", "to") for b in ("", "fall", "ich", "night")]


@pytest.fixture(scope="module", params=["qwen3", "llama", "mistral"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / "base"
    shape = {
        "architecture": request.param,
        "hidden_size": 32,
        "layers": 2,
        "heads": 2,
        "key_value_heads": 1,
        "vocabulary": 400,
    }
    make_base(ModelConfig.model_validate({"random_init": shape}), [" ".join(WORDS)] * 5, 0, folder)
    weights = load_file(folder / "model.safetensors")
    # Fresh weights are so small that a model hardly looks at its prompt.
    larger = {name: w * 8 if "proj" in name else w for name, w in weights.items()}
    save_file(larger, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


@pytest.fixture
def renderer(model: str) -> Renderer:
    return Renderer(load_tokenizer(model))


@pytest.fixture
def prompts(renderer: Renderer) -> list[list[int]]:
    """Of very different lengths, so that a batch of five is padded a lot."""
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 120))) for _ in range(30)]
    return [renderer.prompt(text, None, [], "select") for text in texts]


def complete(
    model: str, renderer: Renderer, prompts: list[list[int]], batch_size: int, order: list[int]
) -> list[Completion]:
    backend = TransformersBackend(model, renderer, "float32", batch_size)
    found = {order[i]: c for some in backend.complete([prompts[i] for i in order], 24) for i, c in some}
    return [found[i] for i in range(len(prompts))]


def test_answers_do_not_depend_on_batch_size_and_order(
    model: str, renderer: Renderer, prompts: list[list[int]]
) -> None:
    order = list(range(len(prompts)))
    alone = complete(model, renderer, prompts, 1, order)
    assert [c.prompt_tokens for c in alone] == [len(p) for p in prompts]
    assert len({c.text for c in alone}) > 20, "the prompts are told apart"
    assert complete(model, renderer, prompts, 5, order) == alone
    random.Random(1).shuffle(order)
    assert complete(model, renderer, prompts, 5, order) == alone


def test_stops_between_batches(model: str, renderer: Renderer, prompts: list[list[int]]) -> None:
    backend = TransformersBackend(model, renderer, "float32", 5)
    done: list[int] = []
    batches = backend.complete(prompts, 2, lambda: len(done) >= 10)
    done += [i for i, _ in next(batches)]
    done += [i for i, _ in next(batches)]
    assert len(done) == 10 and next(batches, None) is None
