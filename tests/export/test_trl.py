"""TRL: what it loads, renders and trains on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import Qwen3Config, Qwen3ForCausalLM

from gentool.config import Config
from gentool.export.write import export_samples
from gentool.pipeline import Run
from gentool.prompting.renderer import Rendered
from gentool.training.dataset import SampleRenderer
from gentool.training.plan import plan_arm
from tests.export.conftest import quiet, read_lines
from tests.prompting.conftest import make_renderer

datasets = pytest.importorskip("datasets", reason="TRL reads files with it")
trl = pytest.importorskip("trl", reason="is what the files are for")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def loaded(run: Run, config: Config, out: Path, kind: Any, stage: str, **options: Any) -> Any:
    """A stage as TRL's command line loads it: the folder, and the stage as its configuration."""
    export_samples(run.folder, config, kind, out, quiet(), **options)
    return datasets.load_dataset(str(out), stage)["train"]


def tokenized(data: Any, family: str, folder: Path, **options: Any) -> Any:
    """The data as TRL's SFTTrainer prepares it."""
    tokenizer = make_renderer(family).tokenizer
    shape = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    arguments = trl.SFTConfig(
        output_dir=str(folder), max_length=None, report_to="none", use_cpu=True, bf16=False, **options
    )
    trainer = trl.SFTTrainer(
        model=Qwen3ForCausalLM(shape), args=arguments, train_dataset=data, processing_class=tokenizer
    )
    return trainer.train_dataset


def trained(run: Run, family: str, stage: str, epochs: int) -> list[Rendered]:
    """What GenTool's own training renders for a stage, in its order."""
    samples = run.samples()
    source = SampleRenderer(samples, run.tools(), make_renderer(family), 0, 10**6)
    options = run.config.train.model_copy(update={"epochs": epochs})
    (plan,) = [p for p in plan_arm(samples, "gentool", options, 0, lambda *_: 1) if p.name == stage]
    return [source.rendered(item) for item in plan.items]


@pytest.mark.parametrize("family", ["qwen2_5", "qwen3"])
@pytest.mark.parametrize("stage", ["rank", "select"])
def test_the_trainer_sees_the_tokens_of_gentools_training(
    run: Run, tmp_path: Path, family: str, stage: str
) -> None:
    data = loaded(run, run.config, tmp_path / "out", "trl", stage, epochs=2)
    rows = tokenized(data, family, tmp_path)
    own = trained(run, family, stage, epochs=2)
    after = make_renderer(family).tokenizer("\n")["input_ids"]  # what the template writes after the turn
    assert len(rows) == len(own)
    for row, item in zip(rows, own, strict=True):
        assert row["input_ids"] == item.ids + after
        assert row["labels"] == item.labels + after


def test_messages_train_on_the_answer_with_assistant_only_loss(run: Run, tmp_path: Path) -> None:
    data = loaded(run, run.config, tmp_path / "out", "trl-messages", "select")
    rows = tokenized(data, "qwen2_5", tmp_path, assistant_only_loss=True)
    tokenizer = make_renderer("qwen2_5").tokenizer
    for row, item in zip(rows, trained(run, "qwen2_5", "select", epochs=1), strict=True):
        assert row["input_ids"][: len(item.ids)] == item.ids
        text = [tokenizer.decode([t for t in labels if t != -100]) for labels in (row["labels"], item.labels)]
        assert text[0].strip() == text[1]  # the line break before a call is trained on too


def test_arrow_gives_no_call_the_arguments_of_others(run: Run, tmp_path: Path) -> None:
    data = loaded(run, run.config, tmp_path / "out", "trl", "select", task="select")
    lines = read_lines(tmp_path / "out" / "select.jsonl")
    arguments = [line["completion"][0]["tool_calls"][0]["function"]["arguments"] for line in lines]
    assert len({tuple(a) for a in arguments}) > 5
    for row, line in zip(data, lines, strict=True):
        assert row["completion"] == line["completion"]
        assert json.loads(row["tools"]) == json.loads(line["tools"])


def test_tools_in_text_load_too(run: Run, tmp_path: Path, changed: Callable[..., Config]) -> None:
    data = loaded(run, changed(prompt={"tool_format": "text"}), tmp_path / "out", "trl", "select")
    assert set(data["tools"]) == {None}
    rows = tokenized(data, "qwen2_5", tmp_path)
    assert "<tools>" in make_renderer("qwen2_5").tokenizer.decode(rows[0]["input_ids"])
