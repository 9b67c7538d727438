"""Train one stage with transformers' Trainer: parent checkpoint in, checkpoint and manifest out."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from gentool.config import LoraOptions, TrainConfig
from gentool.jsonl import content_hash, sync_folder, write_text
from gentool.models import device, load_model, split_revision, torch_dtype, weights_hash
from gentool.processes import any_process, is_first, join, process_count, wait_for_all
from gentool.progress import Progress, Stopped
from gentool.prompting.renderer import Renderer
from gentool.training.checkpoints import Seal, is_whole_file, newest_checkpoint
from gentool.training.dataset import SampleRenderer, TrainingError
from gentool.training.plan import StagePlan
from gentool.training.shared_prefix.gate import Engine, choose_engine
from gentool.training.trainer import Steps, StepTrainer

MANIFEST = "stage.json"

STAGE_OPTIONS = {
    "method", "lora", "micro_batch_size", "warmup", "scheduler", "weight_decay", "max_grad_norm", "bf16",
    "gradient_checkpointing", "tool_order", "mask_names", "preference",
}  # fmt: skip
"""The options that a stage's weights depend on, besides what its plan holds."""


@dataclass(frozen=True)
class StageSpec:
    """All that a stage's result depends on."""

    arm: str
    plan: StagePlan
    config: TrainConfig
    dtype: str
    seed: int
    parent: str
    folder: Path
    data_hash: str

    def identity(self, renderer: Renderer) -> dict[str, Any]:
        """What is written to the manifest, and must be unchanged for a checkpoint to be resumed."""
        return {
            "arm": self.arm,
            "stage": self.plan.name,
            "seed": self.seed,
            "learning_rate": self.plan.learning_rate,
            "steps": self.plan.steps,
            "samples": len(self.plan.items),
            "tokens": self.plan.tokens,
            "data_hash": self.data_hash,
            "plan_hash": content_hash([asdict(i) for i in self.plan.items]),
            "template_hash": renderer.template_hash,
            "tool_format": renderer.tool_format,
            "fallback_text": renderer.fallback_text,
            "parent_hash": weights_hash(self.parent),
            "dtype": self.dtype,
            "options": self.config.model_dump(mode="json", include=STAGE_OPTIONS),
        }


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Shows progress, and turns a request to stop into a checkpoint and a stop."""

    def __init__(self, progress: Progress, label: str, steps: int) -> None:
        self.progress = progress
        self.task = progress.start(label, steps)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step:
            self.progress.say(f"going on after step {state.global_step}")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.progress.update(self.task, state.global_step)
        if any_process(self.progress.stopping) and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True


def _prepare(spec: StageSpec) -> Any:
    """The parent's model, ready to train: all weights, or an adapter on frozen ones."""
    dtype = torch_dtype(spec.dtype, train_all=spec.config.method == "full")
    four_bit = spec.config.method == "qlora"
    model = load_model(spec.parent, dtype, trainable=True, four_bit=four_bit)
    if spec.config.method == "full":
        return model
    from peft import PeftModel, prepare_model_for_kbit_training

    if isinstance(model, PeftModel):
        return model
    if four_bit:  # Trainer sees to gradient checkpointing
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return add_adapter(model, spec.config.lora, split_revision(spec.parent)[1])


def add_adapter(model: Any, options: LoraOptions, revision: str | None = None) -> Any:
    """``model`` with new LoRA adapters, its own weights frozen; ``revision``: that of the base on the hub."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        model,
        LoraConfig(
            r=options.rank,
            lora_alpha=options.alpha,
            target_modules=options.target_modules,
            lora_dropout=0.0,
            task_type="CAUSAL_LM",
            revision=revision,
        ),
    )


def _arguments(spec: StageSpec, folder: Path) -> TrainingArguments:
    config, on = spec.config, device().type
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,  # one entry of the dataset is a whole step
        max_steps=spec.plan.steps,
        learning_rate=spec.plan.learning_rate,
        lr_scheduler_type=config.scheduler,
        warmup_steps=round(config.warmup * spec.plan.steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        activation_checkpointing=config.gradient_checkpointing,
        bf16=on == "cuda" if config.bf16 is None else config.bf16,
        use_cpu=on == "cpu",
        seed=spec.seed,
        train_sampling_strategy="sequential",
        logging_steps=min(config.log_steps, spec.plan.steps),
        logging_nan_inf_filter=False,  # a loss that is not a number must be seen
        save_steps=config.save_steps,
        remove_unused_columns=False,
        dataloader_pin_memory=on == "cuda",
        ddp_find_unused_parameters=False,
        report_to=[],
        disable_tqdm=True,
    )
    # With several GPUs Trainer would split batches over them by DataParallel, and take several micro-batches at once.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _clear(folder: Path) -> None:
    """Remove what another configuration, or this one cut short, left beside the checkpoints; the manifest first."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for file in folder.glob("*"):
        if file.is_file():
            file.unlink()


def finished(folder: Path, identity: dict[str, Any]) -> bool:
    """Whether ``folder`` holds the finished stage that ``identity`` describes, its weights in full length."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(manifest, dict) or manifest.get("identity") != identity:
        return False
    weights = list(folder.glob("*.safetensors"))
    return bool(weights) and all(map(is_whole_file, weights))


def train_stage(spec: StageSpec, source: SampleRenderer, progress: Progress) -> None:
    """Train a stage, unless its folder already holds its result; resume it where a checkpoint is left.

    Writes weights, tokenizer, ``log.jsonl`` and ``stage.json`` (identity, metrics) to ``spec.folder``.
    Raises :class:`Stopped` when asked to stop, after saving.
    """
    renderer = source.renderer
    identity = spec.identity(renderer)
    label = f"{spec.arm} seed {spec.seed}: {spec.plan.name}"
    work = spec.folder / "checkpoints"
    if finished(spec.folder, identity):
        progress.say(f"{label}: done before")
        if is_first():
            shutil.rmtree(work, ignore_errors=True)  # of a run that was killed when it had just finished
        return
    if (spec.folder / MANIFEST).is_file():
        progress.say(f"{label}: what it depends on has changed, so it is trained anew")
    if process_count() > 1:
        join()  # before Trainer does, whose patience is half an hour
    if is_first():
        _clear(spec.folder)
    set_seed(spec.seed)  # a new adapter's first weights are drawn here
    model = _prepare(spec)
    checkpoint = newest_checkpoint(work, identity)
    engine = choose_engine(model, spec.plan, source, spec.config)
    progress.say(f"{label}: {engine.why}")
    trainer = StepTrainer(
        model=model,
        args=_arguments(spec, work),
        train_dataset=Steps(spec.plan, source, engine.batching, process_count()),
        first=engine.first,
        callbacks=[_Watch(progress, label, spec.plan.steps), Seal()],
    )
    trainer.remove_callback(PrinterCallback)
    started = time.time()
    trainer.train(resume_from_checkpoint=checkpoint)
    if trainer.state.global_step < spec.plan.steps:
        raise Stopped
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    if not all(math.isfinite(entry["loss"]) for entry in log):
        wait_for_all()
        shutil.rmtree(work, ignore_errors=True)
        raise TrainingError(
            f"{label}: the loss is not a number. Fix: lower train.learning_rate, or set model.dtype: float32."
        )
    trainer.save_model(str(spec.folder))
    if is_first():
        _finish(spec, renderer, identity, log, started, checkpoint, engine)
        shutil.rmtree(work)
    wait_for_all()


def _finish(
    spec: StageSpec,
    renderer: Renderer,
    identity: dict[str, Any],
    log: list[dict[str, Any]],
    started: float,
    checkpoint: str | None,
    engine: Engine,
) -> None:
    """Write what stands beside the weights, the manifest last."""
    (spec.folder / "training_args.bin").unlink(missing_ok=True)  # a pickle, and of no use to us
    renderer.tokenizer.save_pretrained(str(spec.folder))
    write_text(spec.folder / "log.jsonl", "".join(json.dumps(e, sort_keys=True) + "\n" for e in log))
    manifest = {
        "identity": identity,
        "config": spec.config.model_dump(mode="json"),
        "parent": spec.parent,
        "weights": weights_hash(str(spec.folder)),
        "metrics": {
            "first_loss": log[0]["loss"] if log else None,
            "last_loss": log[-1]["loss"] if log else None,
            "seconds": round(time.time() - started, 1),
            "resumed_from": checkpoint and Path(checkpoint).name,
            "shared_prefix": engine.shared,
            "token_ratio": round(engine.ratio, 3),
        },
    }
    sync_folder(spec.folder)
    write_text(spec.folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
