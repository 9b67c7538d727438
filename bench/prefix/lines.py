"""The lines that are compared, each a trainer in a process of its own that takes a step when told to."""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.prefix.samples import Given, Shape, as_plan, make_model

from gentool.prompting.renderer import Rendered

RATE = 1e-5


@dataclass(frozen=True)
class Line:
    """One way to train. ``size``: samples in memory at once; in packing as many make a pack.

    ``kind``: ``padded``, ``packed`` or ``padding_free`` (TRL); ``plain`` or ``shared`` (GenTool).
    ``targets_only``: the loss of TRL 1.16 scores the trained tokens alone on CUDA, but all tokens of a batch on a CPU,
    which costs it much; this takes its other branch on a CPU too. No option of TRL does that.
    """

    kind: str
    size: int
    attention: str = "sdpa"
    targets_only: bool = False

    @property
    def name(self) -> str:
        who = "gentool" if self.kind in ("plain", "shared") else "trl"
        return f"{who} {self.kind}" + (", targets only" if self.targets_only else "")


@dataclass(frozen=True)
class Setting:
    """What all lines have in common; ``weights``: dtype of the weights; ``step``: samples of an optimizer step."""

    shape: Shape
    seed: int
    threads: int
    device: str
    weights: str
    bf16: bool
    step: int


def best_attention(device: str) -> str:
    """The fastest attention for packs that is installed."""
    if device != "cuda":
        return "sdpa"
    return "flash_attention_2" if find_spec("flash_attn") else "flex_attention"


def candidates(device: str, sizes: Sequence[int]) -> list[list[Line]]:
    """What the trial chooses from, line by line: a user would try the same."""
    packing = best_attention(device)
    by_hand = device == "cpu"
    kernels = sorted({"sdpa", packing} - {"flex_attention"})
    padded = [Line("padded", n, a, by_hand) for n in sizes for a in kernels]
    # A batch without padding is computed as a pack of the same samples is: on a CPU one of them will do.
    packed = [Line("packed", n, packing, by_hand) for n in sizes if n > 1]
    packed += [Line("padding_free", n, packing, by_hand) for n in sizes if n == 2 or (n > 2 and not by_hand)]
    found = [padded, packed, [Line("plain", n) for n in sizes]]
    if by_hand:
        found.append([replace(line, targets_only=False) for line in padded])
    # On a CPU as train.micro_batch_size has it by default: it makes no difference.
    return [*found, [Line("shared", n) for n in ([4] if by_hand else sizes)]]


class Worker:
    """A process that builds a line's trainer and then takes one step at a time."""

    def __init__(self, line: Line, setting: Setting, rows: Sequence[Rendered]) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(line, setting, list(rows), theirs), daemon=True)
        self.process.start()
        theirs.close()

    def step(self) -> float:
        """Seconds of the next optimizer step, the first with all that comes before."""
        self.pipe.send(True)
        return float(self.pipe.recv())

    def close(self) -> dict[str, Any]:
        """End it; returns the losses of its steps and the peak of memory over that of the loaded model, in bytes."""
        self.pipe.send(False)
        found: dict[str, Any] = self.pipe.recv()
        self.process.join()
        return found


def try_out(setting: Setting, lines: Sequence[Line], rows: Sequence[Rendered]) -> list[float]:
    """Seconds of the second step of each line, one after the other in a process of their own.

    ``rows`` are cut to ``setting.step`` samples a step. Infinite: it did not fit into memory.
    """
    context = get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_try_out, args=(setting, list(lines), list(rows), theirs), daemon=True)
    process.start()
    theirs.close()
    seconds: list[float] = pipe.recv()
    process.join()
    return seconds


class _Trial:
    """Stands in for the pipe: two steps, then the end."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def send(self, value: Any) -> None:
        if isinstance(value, float):
            self.seconds.append(value)

    def recv(self) -> bool:
        return len(self.seconds) < 2


def _try_out(setting: Setting, lines: list[Line], rows: list[Rendered], pipe: Any) -> None:
    import torch

    found = []
    for line in lines:
        trial = _Trial()
        try:
            _work(line, setting, rows, trial)
            found.append(trial.seconds[1])
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            found.append(float("inf"))
    pipe.send(found)


def _work(line: Line, setting: Setting, rows: list[Rendered], pipe: Any) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import torch
    import transformers
    from transformers.trainer_callback import PrinterCallback

    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(setting.threads)
    model = make_model(setting.shape, setting.seed, getattr(torch, setting.weights), line.attention)
    with tempfile.TemporaryDirectory() as folder:
        make = _ours if line.kind in ("plain", "shared") else _trl
        trainer = make(line, setting, rows, model, folder)
        trainer.remove_callback(PrinterCallback)
        paced = _paced(pipe)
        trainer.add_callback(paced)
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    pipe.send({"losses": losses, "peak_bytes": _peak() - paced.before})


def _arguments(setting: Setting, rows: int, folder: str) -> dict[str, Any]:
    """Options of both trainers."""
    return {
        "output_dir": folder,
        "max_steps": rows // setting.step,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "bf16": setting.bf16,
        "use_cpu": setting.device == "cpu",
        "seed": setting.seed,
        "train_sampling_strategy": "sequential",
        "logging_steps": 1,
        "save_strategy": "no",
        "dataloader_pin_memory": setting.device == "cuda",
        "report_to": [],
        "disable_tqdm": True,
    }


def _ours(line: Line, setting: Setting, rows: list[Rendered], model: Any, folder: str) -> Any:
    import torch
    from transformers import TrainingArguments

    from gentool.training.shared_prefix.attention import choose_backend
    from gentool.training.shared_prefix.batches import SharedBatches
    from gentool.training.shared_prefix.gate import use
    from gentool.training.trainer import PlainBatches, Steps, StepTrainer

    dtype = torch.bfloat16 if setting.bf16 else getattr(torch, setting.weights)
    if line.kind == "shared":
        use(model, choose_backend(torch.device(setting.device), dtype))
        batching: Any = SharedBatches(line.size * max(len(row.ids) for row in rows))
    else:
        batching = PlainBatches(line.size, 0)
    return StepTrainer(
        model=model,
        args=TrainingArguments(
            **_arguments(setting, len(rows), folder),
            per_device_train_batch_size=1,
            remove_unused_columns=False,
        ),
        train_dataset=Steps(as_plan(rows, setting.step), Given(rows), batching, 1),  # type: ignore[arg-type]
    )


def _trl(line: Line, setting: Setting, rows: list[Rendered], model: Any, folder: str) -> Any:
    import trl.trainer.utils
    from datasets import Dataset, disable_progress_bars
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    if setting.device == "cpu":
        trl.trainer.utils._use_triton = lambda device: line.targets_only
    # The samples of a step by length: as little padding as any sampler could reach.
    ordered = [
        row
        for n in range(0, len(rows), setting.step)
        for row in sorted(rows[n : n + setting.step], key=lambda row: len(row.ids))
    ]
    packed = line.kind == "packed"
    per_device = 1 if packed else line.size
    return SFTTrainer(
        model=model,
        args=SFTConfig(
            **_arguments(setting, len(rows), folder),
            per_device_train_batch_size=per_device,
            gradient_checkpointing=False,
            gradient_accumulation_steps=setting.step // line.size,
            completion_only_loss=True,
            packing=packed,
            padding_free=line.kind == "padding_free",
            # Packs that hold just `size` samples, so that steps are of equal size.
            max_length=line.size * max(len(row.ids) for row in rows) if packed else None,
        ),
        train_dataset=Dataset.from_dict(
            {
                "input_ids": [row.ids for row in ordered],
                "completion_mask": [[0] * row.start + [1] * (len(row.ids) - row.start) for row in ordered],
            }
        ),
        processing_class=_tokenizer(setting.shape.vocabulary),
    )


def _tokenizer(vocabulary: int) -> Any:
    """TRL wants one, though the samples are token ids."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(2, vocabulary)}
    made = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1, **words}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<eos>")


def _paced(pipe: Any) -> Any:
    """A callback that takes a step when told to, and says how long it took."""
    import torch
    from transformers import TrainerCallback

    class Paced(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.before = _reset_peak()
            pipe.recv()
            self.begun = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            pipe.send(time.perf_counter() - self.begun)
            control.should_training_stop = not pipe.recv()
            self.begun = time.perf_counter()

    return Paced()


def _status(field: str) -> int:
    """A line of the kernel's account of this process's memory, in bytes."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(text.partition(f"{field}:")[2].split()[0]) * 1024


def _reset_peak() -> int:
    """Begin to measure; returns what is in use now."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return int(torch.cuda.memory_allocated())
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return _status("VmRSS")


def _peak() -> int:
    import torch

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else _status("VmHWM")
