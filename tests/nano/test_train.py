from __future__ import annotations

import json
from concurrent.futures import wait
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from gentool import data
from gentool.jsonl import GenToolError
from gentool.models import load_tokenizer
from gentool.models.source import read_config
from gentool.models.supported import check_supported
from gentool.nano import dense, train
from gentool.nano.bf16_linear import use_bf16_products
from gentool.nano.exam import exam
from gentool.nano.feed import ROUND, Drawing, Feed, filler_row
from gentool.nano.lessons import STAGES, Lessons, draw_level
from gentool.nano.lexicon import lexicon
from gentool.nano.model import Shape, make_model
from gentool.nano.muon import Muon, orthogonal
from gentool.nano.tokenizer import train_tokenizer
from gentool.nano.train import Plan, Training, tokenizer_texts
from gentool.nano.worlds import World, draw_world
from gentool.prompting.order import seeded
from gentool.prompting.renderer import RANK_REQUEST, Renderer
from gentool.records import GENERATE_RESPONSE
from gentool.training.loss import batch_loss
from gentool.training.shared_prefix.attention import choose_backend
from gentool.training.shared_prefix.batches import tree_batch
from gentool.training.shared_prefix.support import obstacles
from gentool.training.shared_prefix.tree import build_tree
from tests.training.test_processes import launch

TINY = Plan(12_000, shape=Shape(32, 1, 600), batch=300, warmup=2, every=2000, real=False)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "TEXTS", 40)
    monkeypatch.setattr("gentool.nano.quick_exam.LISTS", 1)


@pytest.fixture
def renderer() -> Renderer:
    return Renderer(train_tokenizer(tokenizer_texts(0), 600), joint=True)


quiet = partial(Training, say=lambda text: None)


def test_prompts_are_the_product_s_and_are_read_back(renderer: Renderer) -> None:
    lessons = Lessons(renderer, lexicon())
    rng = seeded("prompts")
    for _ in range(5):
        world: World = draw_world(rng, lexicon(), draw_level(rng, STAGES[-1]), 4)
        names = [tool.name for tool in world.tools]
        for ask in world.asks:
            for task in ("select", "rank"):
                row = lessons.ask(world, ask, task)
                assert row == renderer.training(ask.query, ask.now, world.tools, task, ask.ranking, ask.call)
                assert row.ids[: row.start] == renderer.prompt(ask.query, ask.now, world.tools, task)
                parsed = renderer.parse(task, *_text(renderer, row.ids[row.start :], names))
                assert (parsed.tool_call or ask.call) == ask.call
                assert (parsed.ranking or ask.ranking) == ask.ranking
                assert parsed.tool_call or parsed.ranking
                choice = lessons.choice_of(row)
                assert choice.start == len(choice.ids) - 1
                number = f"{names.index(ask.call.name) + 1})"
                assert renderer.tokenizer.decode(choice.ids[choice.start :]) == number


def _text(renderer: Renderer, ids: list[int], names: list[str]) -> tuple[str, list[str], bool]:
    text, finished = renderer.decode(ids)
    return text, names, finished


def test_the_first_stage_is_copying_alone_and_the_others_have_lists(renderer: Renderer) -> None:
    lessons = Lessons(renderer, lexicon())
    first = lessons.step(seeded(1), STAGES[0], 2000)
    assert all(row.ids[: row.start - 1] == row.ids[row.start - 1 :] for row in first)
    user = renderer.tokenizer.convert_tokens_to_ids("<|user|>")
    for stage in STAGES[1:]:
        assert sum(user in row.ids for row in lessons.step(seeded(1), stage, 2000)) >= 10


def test_what_never_varies_is_one_token(renderer: Renderer) -> None:
    for text in (RANK_REQUEST, GENERATE_RESPONSE, "<|end|>", "1)", "64)"):
        assert len(renderer.tokenizer(text)["input_ids"]) == 1
    text = 'Zwölf {"a": [1, 2]}  Fälle\n\tgetInvoice_v2'
    assert renderer.tokenizer.decode(renderer.tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize("copies,least,most", [(True, 0.5, 1.0), (False, 0.0, 0.05)])
def test_an_untrained_model_copies(renderer: Renderer, copies: bool, least: float, most: float) -> None:
    model = make_model(Shape(128, 2, 600), renderer.tokenizer, 0, copies)
    half = torch.randint(len(renderer.tokenizer), (8, 30), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        guess = model(torch.cat([half, half], 1)).logits.argmax(-1)[:, 30:-1]
    assert least <= (guess == half[:, 1:]).float().mean() <= most


def test_muon_makes_updates_nearly_orthogonal() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(2, 12, 40)))
    assert values.min() > 0.5 and values.max() < 1.5
    weight = torch.nn.Parameter(torch.zeros(40, 12))
    weight.grad = torch.randn(40, 12)
    Muon([weight], lr=1.0).step()
    assert 0.1 < weight.detach().square().mean().sqrt() < 0.3


def test_a_resumed_training_is_the_unbroken_one(tmp_path: Path) -> None:
    whole = quiet(TINY, tmp_path / "whole")
    whole.run()
    quiet(TINY, tmp_path / "broken").run(until=7000)
    # Killed while it wrote a checkpoint, after lines that the last one does not know.
    (tmp_path / "broken/checkpoints/unfinished").mkdir()
    with (tmp_path / "broken/log.jsonl").open("a") as log:
        log.write('{"step": 9999}\n{"st')
    again = quiet(TINY, tmp_path / "broken")
    assert 2000 <= again.state["tokens"] < 12_000
    again.run()
    for (name, a), b in zip(whole.model.named_parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b), name
    logs = [(tmp_path / n / "log.jsonl").read_text().splitlines() for n in ("whole", "broken")]
    last = [json.loads(lines[-1]) for lines in logs]
    assert last[0]["tokens"] == last[1]["tokens"] and last[0]["select_right"] == last[1]["select_right"]
    assert all(json.loads(line)["step"] < 9999 for line in logs[1])


def test_a_filler_rounds_up_and_counts_nothing(renderer: Renderer) -> None:
    lessons = Lessons(renderer, lexicon())
    for n in range(10):
        rows = lessons.step(seeded("filler", n), STAGES[2], 700)
        tree, filled = build_tree(rows), build_tree([*rows, filler_row(rows, 0)])
        assert len(filled.ids) % ROUND == len(filled.targets) % ROUND == 0
        assert sum(filled.weights) == pytest.approx(sum(tree.weights))
        assert filled.ids[-len(tree.ids) :] == tree.ids, "the padding token sorts before all others"


def test_products_in_bfloat16_are_those_of_a_linear_layer_within_rounding() -> None:
    torch.manual_seed(0)
    plain, low = torch.nn.Linear(24, 16, bias=False), torch.nn.Linear(24, 16, bias=False)
    low.load_state_dict(plain.state_dict())
    use_bf16_products(low)
    x = torch.randn(2, 5, 24)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outs = [layer(i) for layer, i in zip((plain, low), inputs, strict=True)]
    for out in outs:
        out.square().sum().backward()
    assert outs[1].dtype == torch.float32
    for a, b in (outs, [i.grad for i in inputs], (plain.weight.grad, low.weight.grad)):
        assert a is not None and b is not None
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)


def test_two_processes_share_a_step_and_end_with_the_same_weights(tmp_path: Path) -> None:
    words = "-m gentool.nano --tokens 6000 --width 32 --layers 1 --vocabulary 600 --batch 600 --no-real --threads 1"
    launch(*words.split(), "--out", tmp_path / "two", processes=2, cwd=tmp_path)
    log = [json.loads(line) for line in (tmp_path / "two/log.jsonl").read_text().splitlines()]
    assert log[-1]["tokens"] >= 6000
    assert json.loads((tmp_path / "two/plan.json").read_text())["processes"] == 2
    assert (tmp_path / "two/model/model.safetensors").is_file()


def test_steps_drawn_ahead_are_the_same_and_a_death_is_said(renderer: Renderer) -> None:
    lessons = Lessons(renderer, lexicon())
    drawing = Drawing(lessons, 0, 300, 0)
    feed = Feed(drawing, 1)
    try:
        for number in range(3):
            assert feed.step(number, 2) == drawing.step(number, 2)
        wait([future for _, future in feed.ahead])
        for process in feed.pool._processes.values():
            process.kill()
        with pytest.raises(GenToolError, match="--workers"):
            for number in range(3, 20):
                feed.step(number, 2)
    finally:
        feed.close()


def test_one_mask_over_the_row_is_the_same_attention(renderer: Renderer) -> None:
    model = make_model(Shape(64, 2, 600), renderer.tokenizer, 0)
    batch = tree_batch(Drawing(Lessons(renderer, lexicon()), 0, 400, 0).step(0, 3)[0])
    found = []
    for attention in (choose_backend(torch.device("cpu"), torch.float32), dense.NAME):
        model.set_attn_implementation(attention)
        found.append(torch.autograd.grad(batch_loss(model, batch), list(model.parameters())))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_another_plan_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    quiet(TINY, tmp_path)
    with pytest.raises(GenToolError, match="plan"):
        quiet(replace(TINY, tokens=9000), tmp_path)


def test_the_exported_model_loads_and_can_be_examined(tmp_path: Path) -> None:
    training = quiet(TINY, tmp_path)
    training.run(until=2500)
    training.export()
    folder = str(tmp_path / "model")
    check_supported(read_config(folder), folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert not obstacles(model, 1000)
    assert load_tokenizer(folder).chat_template == training.tokenizer.chat_template
    assert (tmp_path / "model/MODEL_CARD.md").read_text(encoding="utf-8").count("\n") > 20
    marks = exam(folder, lists=1)
    assert 0 <= marks["unseen_tool_selection"] <= 1
    assert marks["parameters"] == sum(p.numel() for p in training.model.parameters())


@pytest.mark.parametrize("name", data.MODELS)
def test_models_of_the_package_load(name: str) -> None:
    folder = data.model_path(name)
    check_supported(read_config(folder), folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.vocab_size >= len(load_tokenizer(folder))
    assert f"# {name}\n" in Path(folder, "MODEL_CARD.md").read_text(encoding="utf-8")
