"""Pretraining: from a seed to a model folder, in steps that a killed run goes on from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from gentool.jsonl import GenToolError, write_text
from gentool.models import device
from gentool.nano import dense
from gentool.nano.bf16_linear import use_bf16_products
from gentool.nano.card import model_card
from gentool.nano.checkpoint import load_checkpoint, save_checkpoint
from gentool.nano.feed import Drawing, Feed
from gentool.nano.lessons import ASKS, STAGES, Lessons, Stage, draw_level
from gentool.nano.lexicon import lexicon
from gentool.nano.model import Shape, make_model, parameter_count
from gentool.nano.muon import Muon
from gentool.nano.quick_exam import quick_exam
from gentool.nano.real import document_words, open_pairs, real_tools
from gentool.nano.tokenizer import CONTEXT, train_tokenizer
from gentool.nano.worlds import draw_world
from gentool.processes import first_then_others, is_first, join, process_count
from gentool.prompting.order import seeded
from gentool.prompting.renderer import Renderer
from gentool.records import Tool, ToolPair
from gentool.training.loss import batch_loss
from gentool.training.shared_prefix.attention import choose_backend
from gentool.training.shared_prefix.batches import tree_batch

TEXTS = 1500
"""Worlds that the tokenizer is trained on."""

REAL_TEXTS = 4000

COPIED = 1.0
"""Mean loss, in nats, at which copying counts as learned."""

MEASURED = 100
"""Steps that the speed is measured in."""


@dataclass(frozen=True)
class Plan:
    """A training. ``tokens``: unique tokens to compute; ``batch``: of a step; ``every``: tokens between exams."""

    tokens: int
    seed: int = 0
    shape: Shape = field(default_factory=Shape)
    batch: int = 2048
    matrix_lr: float = 4e-3
    vector_lr: float = 5e-3
    warmup: int = 100
    every: int = 1_000_000
    bf16: bool = False
    real: bool = True
    open: bool = False


def tokenizer_texts(
    seed: int,
    real: Sequence[Tool] = (),
    pairs: Sequence[ToolPair] = (),
) -> Iterable[str]:
    """Texts of worlds, of some real tools and of pairs, as the model will see them."""
    words = lexicon()
    for tool in real[:REAL_TEXTS]:
        yield f"{tool.name}: {tool.description}"
    for tool in (tool for pair in pairs for tool in pair.tools):
        yield f"{tool.name}: {tool.description} {json.dumps(tool.parameters)}"
    for query in (query for pair in pairs for query in pair.queries):
        yield query.query
    for n in range(TEXTS):
        rng = seeded("nano tokenizer", seed, n)
        world = draw_world(rng, words, draw_level(rng, STAGES[4]), ASKS)
        for tool in world.tools:
            yield f"{tool.name}: {tool.description} {json.dumps(tool.parameters)}"
        for ask in world.asks:
            yield f"{ask.query}\n{json.dumps(ask.call.arguments)}"


def make_optimizers(model: Any, plan: Plan) -> list[Any]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    named = list(model.named_parameters())
    matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name and "lm_head" not in name]
    chosen = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in chosen]
    return [
        Muon(matrices, plan.matrix_lr, weight_decay=0.1),
        torch.optim.AdamW(others, plan.vector_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate(plan: Plan, step: int, tokens: int) -> float:
    """Share of the full learning rate: linear warm-up, then constant, over the last 40 % of the tokens linear to 0."""
    left = max(0.0, 1 - tokens / plan.tokens)
    return float(min(1.0, (step + 1) / plan.warmup) * min(1.0, left / 0.4))


class Training:
    """A training under way in a folder; several processes (``torchrun``) share each step and the first one writes."""

    def __init__(self, plan: Plan, out: Path, say: Callable[[str], None] = print, workers: int = 0) -> None:
        self.plan, self.out, self.say = plan, out, say
        self.device = device()
        self.rank = join().process_index if process_count() > 1 else 0
        out.mkdir(parents=True, exist_ok=True)
        real = real_tools(plan.seed) if plan.real else []
        pairs = open_pairs(["T"]) if plan.open else []
        texts = tokenizer_texts(plan.seed, real, pairs)
        self.tokenizer = train_tokenizer(texts, plan.shape.vocabulary)
        renderer = Renderer(self.tokenizer)
        words = replace(lexicon(), found=document_words(real))
        self.lessons = Lessons(renderer, words, real, pairs)
        self.sources = {"real_tools": len(real), "open_pairs": len(pairs)}
        with first_then_others() as first:
            if first:
                self._check_plan()
        self.model = make_model(plan.shape, self.tokenizer, plan.seed).to(self.device)
        self.optimizers = make_optimizers(self.model, plan)
        self.state: dict[str, Any] = {"step": 0, "tokens": 0, "stage": 0, "examined": 0, "seconds": 0.0}
        self.state = load_checkpoint(out / "checkpoints", self.model, self.optimizers) or self.state
        if is_first():
            self._cut_log()
        self.autocast = plan.bf16 and self.device.type != "cpu"
        if plan.bf16 and not self.autocast:
            use_bf16_products(self.model)
        low = torch.bfloat16 if self.autocast else torch.float32
        self.model.set_attn_implementation(
            choose_backend(self.device, low) if self.device.type == "cpu" else dense.NAME
        )
        self.model.train()
        drawing = Drawing(self.lessons, plan.seed, plan.batch // process_count(), self.rank)
        self.feed = Feed(drawing, workers)

    def _check_plan(self) -> None:
        mark, plan = (
            self.out / "plan.json",
            json.dumps({**asdict(self.plan), **self.sources, "processes": process_count()}, indent=1) + "\n",
        )
        if mark.is_file() and mark.read_text(encoding="utf-8") != plan:
            raise GenToolError(
                f"{mark}: expected the plan asked for; found another one. Fix: give the same options again (and "
                "install the same packages), or another --out."
            )
        write_text(mark, plan)

    def _cut_log(self) -> None:
        """Forget what was logged after the checkpoint."""
        log = self.out / "log.jsonl"
        if log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [x for x in lines if x.endswith("\n") and json.loads(x)["step"] <= self.state["step"]]
            write_text(log, "".join(kept))

    def step(self) -> float:
        """One optimizer step; returns the loss, the mean over targets by weight."""
        state, plan = self.state, self.plan
        tree, filled = self.feed.step(state["step"], state["stage"])
        batch = {
            k: v.to(self.device) if isinstance(v, torch.Tensor) else v for k, v in tree_batch(tree).items()
        }
        share = rate(plan, state["step"], state["tokens"])
        for optimizer, full in zip(self.optimizers, (plan.matrix_lr, plan.vector_lr), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * share
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            loss = batch_loss(self.model, batch)
        loss.backward()
        total, weight, tokens = self._sum([float(loss.detach()), sum(tree.weights), len(tree.ids) - filled])
        for parameter in self.model.parameters():
            parameter.grad /= weight
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        state["step"] += 1
        state["tokens"] += int(tokens)
        return total / weight

    def _sum(self, numbers: list[float]) -> list[float]:
        """The sums over all processes of the gradients, in place, and of some numbers."""
        if process_count() == 1:
            return numbers
        grads = [p.grad for p in self.model.parameters()]
        flat = torch.cat([*(g.flatten() for g in grads), torch.tensor(numbers, device=self.device)])
        torch.distributed.all_reduce(flat)
        parts = flat.split([*(g.numel() for g in grads), len(numbers)])
        for grad, part in zip(grads, parts, strict=False):
            grad.copy_(part.view_as(grad))
        return [float(x) for x in parts[-1]]

    def _names(self, stage: Stage) -> dict[str, float]:
        return quick_exam(self.model, self.lessons, stage, self.plan.seed)

    def examine(self, loss: float) -> None:
        """Log where the training stands, go to the next stage where it is time, and save a checkpoint."""
        state = self.state
        stage = STAGES[state["stage"]]
        found = {"select": 0.0, "rank": 0.0} if stage.copies else self._names(stage)
        two = found if stage.copies else self._names(STAGES[2])
        line = {
            "step": state["step"],
            "tokens": state["tokens"],
            "seconds": round(state["seconds"], 1),
            "stage": state["stage"],
            "loss": round(loss, 4),
            **{f"{task}_right": round(value, 3) for task, value in found.items()},
            "two_tools_right": round(two["select"], 3),
        }
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        self.say(json.dumps(line))
        over = state["tokens"] >= stage.until * self.plan.tokens
        passed = loss < COPIED if stage.copies else min(found.values()) >= stage.passed
        if state["stage"] < len(STAGES) - 1 and (passed or over):
            state["stage"] += 1
        save_checkpoint(self.out / "checkpoints", self.model, self.optimizers, state)

    def run(self, until: int | None = None) -> None:
        """Train to the end of the plan; with ``until``, break off after so many tokens, as if killed."""
        state, plan = self.state, self.plan
        losses: list[float] = []
        self.say(
            f"{parameter_count(self.model):,} parameters, {len(self.tokenizer)} tokens in the vocabulary"
        )
        while state["tokens"] < plan.tokens:
            if until is not None and state["tokens"] >= until:
                return
            begun = time.perf_counter()
            losses.append(self.step())
            state["seconds"] += time.perf_counter() - begun
            if state["tokens"] >= min(state["examined"] + plan.every, plan.tokens):
                state["examined"] = state["tokens"]
                with first_then_others() as first:
                    if first:
                        self.examine(sum(losses) / len(losses))
                if process_count() > 1:
                    shared = [state["stage"]]
                    torch.distributed.broadcast_object_list(shared)
                    state["stage"] = shared[0]
                losses.clear()

    def fit_into(self, seconds: float) -> None:
        """Measure some steps, and plan as many tokens as fit into the time that is left of ``seconds``.

        The steps count as trained. The plan in the folder is the one found, so it can be given again with ``tokens``.
        """
        begun = time.perf_counter()
        for _ in range(MEASURED // 4):
            self.step()
        middle = time.perf_counter()
        for _ in range(MEASURED):
            self.step()
        # The steps of the first stages are shorter, and take a GPU as long.
        speed = MEASURED * self.plan.batch / (time.perf_counter() - middle)
        left = seconds - (time.perf_counter() - begun)
        self.plan = replace(self.plan, tokens=int(self.state["tokens"] + speed * left))
        (self.out / "plan.json").unlink()
        self._check_plan()
        self.say(f"{speed:,.0f} tokens a second, so {self.plan.tokens:,} tokens")

    def export(self) -> None:
        """Write the model folder: bf16 weights, tokenizer, template and card. The training ends with it."""
        if not is_first():
            return
        folder = self.out / "model"
        count = parameter_count(self.model)
        self.model.set_attn_implementation("sdpa")
        self.model.to(torch.bfloat16).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        lines = (self.out / "log.jsonl").read_text(encoding="utf-8").splitlines()
        log = [json.loads(line) for line in lines]
        card = model_card(
            asdict(self.plan), self.sources, self.state, log, count, ASKS, CONTEXT, process_count()
        )
        write_text(folder / "MODEL_CARD.md", card)
