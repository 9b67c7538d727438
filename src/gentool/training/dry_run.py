"""What a run would cost: parameters, memory, operations, tokens a second and hours; weights are random, none loaded."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from gentool import data
from gentool.config import Config, ConfigError
from gentool.models import ModelError, check_supported, device, load_tokenizer, make_tokenizer, torch_dtype
from gentool.models.source import read_config
from gentool.models.supported import text_config
from gentool.processes import process_count
from gentool.progress import Progress
from gentool.records import Sample, Tool
from gentool.training.arms import plan_arms
from gentool.training.dataset import SampleRenderer, collate, sample_texts
from gentool.training.loss import keeps_logits
from gentool.training.mixture import read_mixture
from gentool.training.plan import StagePlan
from gentool.training.preflight import preflight
from gentool.training.prepare import make_renderer, renderer_with, trained_tasks
from gentool.training.stage import add_adapter

GIB = 2**30
_REPEATS = 2
_SMALL = 50_000_000
_VOCABULARY = 16_384
"""Of a tokenizer that stands in; it is trained on few texts, and cuts them about as a large one does."""


@dataclass(frozen=True)
class Cost:
    """What training all arms and seeds would take on this device, with one process, each sample on its own.

    ``flops``: floating-point operations of all matrix products, forward and backward; two for each multiply-add.
    """

    parameters: int
    trained: int
    static_bytes: int
    activation_bytes: int
    flops: int
    tokens_per_second: float
    tokens: int
    extrapolated: bool

    @property
    def seconds(self) -> float:
        return self.tokens / self.tokens_per_second


def shape_of(config: Config) -> Any:
    """The configuration in the recipe's ``model.shape``, else that of ``model.path``.

    Raises :class:`ConfigError` for a shape that transformers does not know.
    """
    if config.model.shape is None:
        try:
            return text_config(read_config(data.model_path(str(config.model.path))))
        except ModelError as error:
            raise ConfigError(
                f"{error} Without the model: put its config.json into the recipe (model.shape), give --random-init."
            ) from None
    shape = dict(config.model.shape)
    kind = shape.pop("model_type", None)
    try:
        found = AutoConfig.for_model(kind, **shape)
    except Exception as error:
        raise ConfigError(
            f"model.shape: not a configuration that transformers knows ({str(error)[:200]}). Fix: copy the "
            "model's config.json, with model_type."
        ) from None
    check_supported(found, f"shape of {config.model.path}")
    return text_config(found)


def _with_layers(shape: Any, layers: int) -> Any:
    """The same shape with fewer layers."""
    fields = {**shape.to_dict(), "num_hidden_layers": layers}
    if fields.get("layer_types"):
        fields["layer_types"] = fields["layer_types"][:layers]
    fields.pop("model_type", None)
    return type(shape)(**fields)


def _build(shape: Any, config: Config, on: torch.device) -> Any:
    """A model of random weights, trained as the recipe says; on ``meta`` it has shapes only."""
    dtype = torch_dtype(config.model.dtype, train_all=config.train.method == "full")
    with on:
        model = AutoModelForCausalLM.from_config(shape, dtype=dtype)
        model = model if config.train.method == "full" else add_adapter(model, config.train.lora)
    if config.train.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


_FOUR_BIT = 0.52
"""Bytes of a weight in NF4 with its share of the quantized scales."""


def _static(model: Any, four_bit: bool = False) -> int:
    """Bytes of weights, gradients and AdamW's two moments; ``four_bit``: frozen matrices are quantized."""
    matrices = {
        id(m.weight)
        for n, m in model.named_modules()
        if isinstance(m, torch.nn.Linear) and "lm_head" not in n
    }
    weights = sum(
        p.numel()
        * (_FOUR_BIT if four_bit and not p.requires_grad and id(p) in matrices else p.element_size())
        for p in model.parameters()
    )
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return int(weights + 3 * trained)


def _account(model: Any, batch: dict[str, Any], bf16: bool) -> tuple[int, int]:
    """Bytes that a model keeps of a micro-batch for its backward pass, and the operations of both passes.

    Nothing is computed: ``model`` is on ``meta``, tensors have shapes only. So this takes seconds, whatever the size.
    """
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        model.to_empty(device="cpu")
        own = {p.untyped_storage()._cdata for p in model.parameters()}
        batch = {k: fake.from_tensor(v) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        with FlopCounterMode(display=False) as counter:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16), hooks:
                loss = model(**batch).loss
            loss.backward()
    return sum(storage.nbytes() for storage in kept.values()), counter.get_total_flops()


def _seconds(model: Any, batch: dict[str, Any], bf16: bool, on: torch.device) -> float:
    """Of a micro-batch forward and backward, the fastest of some."""
    batch = {k: v.to(on) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
    seconds = []
    for _ in range(_REPEATS + 1):
        started = time.perf_counter()
        with torch.autocast(on.type, torch.bfloat16, enabled=bf16):
            loss = model(**batch).loss
        loss.backward()
        if on.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
        model.zero_grad()
    return min(seconds[1:])  # the first one warms up


def _free_bytes(on: torch.device) -> int:
    if on.type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


def _median_batch(
    plan: StagePlan, source: SampleRenderer, config: Config, whole: bool
) -> tuple[dict[str, Any], int]:
    """A micro-batch of median length, and its tokens without padding; without rivals, which cost next to nothing."""
    items = plan.items[:: max(1, len(plan.items) // 64)]
    ordered = sorted(
        (replace(source.render(item), rival=None) for item in items), key=lambda row: len(row.ids)
    )
    middle = max(0, (len(ordered) - config.train.micro_batch_size) // 2)
    chosen = ordered[middle : middle + config.train.micro_batch_size]
    return collate([chosen], source.renderer.tokenizer.pad_token_id, whole), sum(len(r.ids) for r in chosen)


def stand_in_tokenizer(
    config: Config, samples: Sequence[Sample], tools: Mapping[str, Tool], progress: Progress
) -> Any:
    """The tokenizer of ``model.path``; where it cannot be had, one made from the run's own texts."""
    path, template = config.model.path, config.model.chat_template
    assert path is not None
    try:
        return load_tokenizer(data.model_path(path), template)
    except ModelError as error:
        progress.say(
            f"{error}\nGoing on with a tokenizer made from this run's texts"
            f"{'' if template else ' and a plain chat template'}: numbers of tokens are rough."
        )
    return make_tokenizer(sample_texts(samples, tools), _VOCABULARY, 2**20, template)


def estimate(
    config: Config,
    samples: Sequence[Sample],
    tools: Mapping[str, Tool],
    base: str | None,
    progress: Progress,
) -> Iterator[Table]:
    """Tables of tokens and of costs; weights are random, whatever the model.

    ``base``: where the model lies; ``None``: its shape is taken from the recipe, and its tokenizer if it can be had.
    """
    if base is None:
        shape = shape_of(config)
        renderer = renderer_with(config, stand_in_tokenizer(config, samples, tools, progress))
    else:
        shape = text_config(read_config(base))
        renderer = make_renderer(config, base)
    mixture = read_mixture(config.data.mix, config.seed)
    context = getattr(shape, "max_position_embeddings", None) or config.train.max_length
    limit = min(config.train.max_length, context)
    source = SampleRenderer(samples, tools, renderer, config.seeds[0], limit, mixture.turns, config.train)
    found = preflight(source, trained_tasks(config, mixture), limit, epochs=1)
    yield found.table()
    found.check(config.train.drop_long)
    plans = [p for stages in plan_arms(source, config, config.seeds[0], mixture).values() for p in stages]
    yield cost_table(dry_run(config, shape, plans, source), config)


def dry_run(config: Config, shape: Any, plans: Sequence[StagePlan], source: SampleRenderer) -> Cost:
    """Measure a step of a model of this ``shape`` here: whole, or from its layers.

    ``plans``: the stages of all arms for one seed. A model that does not fit, or is large for a CPU, is timed with
    one and with three layers; each further layer takes the same.
    """
    on = device()
    with torch.device("meta"):
        whole_model = _build(shape, config, torch.device("meta"))
    parameters = sum(p.numel() for p in whole_model.parameters())
    trained = sum(p.numel() for p in whole_model.parameters() if p.requires_grad)
    batch, tokens = _median_batch(plans[0], source, config, not keeps_logits(whole_model))
    batch["input_ids"] %= shape.vocab_size  # a tokenizer that stands in may be larger
    bf16 = on.type == "cuda" if config.train.bf16 is None else config.train.bf16
    layers = shape.num_hidden_layers
    small = on.type == "cuda" or parameters < _SMALL  # a CPU would take minutes for a step of a larger one
    static = _static(whole_model, config.train.method == "qlora")
    fits = small and 1.3 * _static(whole_model) < _free_bytes(on)  # measured unquantized
    activations, flops = _account(whole_model, batch, bf16)
    steps = {}
    for number in (layers,) if fits or layers <= 3 else (1, 3):
        model = _build(_with_layers(shape, number), config, on)
        steps[number] = _seconds(model, batch, bf16, on)
        del model
    seconds = next(iter(steps.values()))
    if len(steps) > 1:
        seconds += (layers - 1) * max(0.0, steps[3] - steps[1]) / 2
    longest = max(source.length(i.sample, i.task) for plan in plans for i in plan.items)
    largest = longest * config.train.micro_batch_size / batch["input_ids"].numel()
    total = sum(plan.tokens for plan in plans) * len(config.seeds)
    return Cost(
        parameters,
        trained,
        static,
        math.ceil(activations * largest),
        round(flops * total / tokens),
        tokens / seconds,
        total,
        len(steps) > 1,
    )


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def cost_table(cost: Cost, config: Config) -> Table:
    """The cost, for the terminal."""
    on = device()
    name = (
        torch.cuda.get_device_name() if on.type == "cuda" else f"{on.type}, {torch.get_num_threads()} threads"
    )
    how = "; layers timed, not the whole model" if cost.extrapolated else ""
    table = Table(box=SIMPLE_HEAD, title=f"What training would take on {name}{how}", show_header=False)
    memory = cost.static_bytes + cost.activation_bytes
    rows = {
        "parameters": f"{cost.parameters:,}, {cost.trained:,} of them trained ({config.train.method})",
        "memory": f"{memory / GIB:.1f} GiB: {cost.static_bytes / GIB:.1f} weights, gradients and optimizer, "
        f"{cost.activation_bytes / GIB:.1f} activations of the longest micro-batch",
        "free here": f"{_free_bytes(on) / GIB:.1f} GiB",
        "tokens a second": f"{cost.tokens_per_second:,.0f}",
        "tokens": f"{cost.tokens:,}: {_many(len(config.train.arms), 'arm')}, {_many(len(config.seeds), 'seed')}",
        "computation": f"{cost.flops / 1e15:,.3g} PFLOP, each sample on its own",
        "training": f"{_duration(cost.seconds)}, evaluation not counted",
    }
    if process_count() > 1:
        rows["processes"] = f"{process_count()}; figures are for one"
    for key, value in rows.items():
        table.add_row(key, value)
    return table
