"""Merging an adapter: the same logits, a folder that is whole, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from typer.testing import CliRunner

from gentool.cli import app
from gentool.merge import merge_adapter
from gentool.models import ModelError, adapter_base, load_model, load_tokenizer
from tests.models.tiny import save_tiny

IDS = torch.arange(3, 40)[None]


@torch.no_grad()
def logits(folder: Path | str, four_bit: bool | None = None) -> torch.Tensor:
    found = load_model(str(folder), torch.float32, four_bit=four_bit).eval()(input_ids=IDS).logits
    assert isinstance(found, torch.Tensor)
    return found


def make_adapter(folder: Path, method: str = "lora", target: Any = "all-linear", **changes: Any) -> Path:
    """A stage folder with an adapter that changes what its base says."""
    base = save_tiny(folder / "base", "qwen3", hidden_size=64, head_dim=32, intermediate_size=64, **changes)
    options = LoraConfig(
        r=4, lora_alpha=8, target_modules=target, task_type="CAUSAL_LM", init_lora_weights=False
    )
    stage = folder / "stage"
    get_peft_model(load_model(base, torch.float32), options).save_pretrained(stage)
    load_tokenizer(base).save_pretrained(stage)
    identity = {
        "options": {"method": method}, "tool_format": "native", "stage": "select", "fallback_text": None,
    }  # fmt: skip
    (stage / "stage.json").write_text(json.dumps({"identity": identity, "parent": base}))
    return stage


def test_the_merged_model_says_what_base_and_adapter_say(tmp_path: Path) -> None:
    stage, out = make_adapter(tmp_path), tmp_path / "merged"
    note = merge_adapter(stage, out)
    assert note == "base and adapter merged by gentool merge-adapter"
    assert (logits(out) - logits(stage)).abs().max() < 1e-5
    assert (logits(out) - logits(tmp_path / "base")).abs().max() > 0.1
    assert adapter_base(str(out)) is None
    assert {f.name for f in out.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "stage.json", "tokenizer.json",
        "tokenizer_config.json", "chat_template.jinja",
    }  # fmt: skip
    assert load_tokenizer(str(out)).chat_template == load_tokenizer(str(stage)).chat_template
    told = json.loads((out / "stage.json").read_text(encoding="utf-8"))
    assert told["identity"]["stage"] == "select"
    assert told["merged"]["base"] == str(tmp_path / "base") and told["merged"]["dtype"] == "float32"
    assert not list(tmp_path.glob(".merged*"))


def test_predict_asks_the_merged_model_as_it_was_trained(tmp_path: Path) -> None:
    stage, out = make_adapter(tmp_path), tmp_path / "merged"
    merge_adapter(stage, out)
    tools = Path(__file__).parent.parent / "docs" / "example_tools.json"
    answers = [
        CliRunner().invoke(
            app, ["predict", "-m", str(m), "-t", str(tools), "--max-new-tokens", "6", "Trains to Lyon?"]
        )
        for m in (stage, out)
    ]
    assert [a.exit_code for a in answers] == [0, 0]
    assert answers[0].output == answers[1].output


def test_weights_are_written_in_the_dtype_asked_for(tmp_path: Path) -> None:
    stage = make_adapter(tmp_path)
    merge_adapter(stage, tmp_path / "half", "bfloat16")
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "bfloat16"
    base = load_model(str(tmp_path / "base"), torch.bfloat16)
    base.save_pretrained(tmp_path / "base")
    merge_adapter(stage, tmp_path / "own")
    assert json.loads((tmp_path / "own" / "config.json").read_text())["dtype"] == "bfloat16"


def test_an_adapter_of_qlora_is_merged_into_unquantized_weights(tmp_path: Path) -> None:
    stage, out = make_adapter(tmp_path, "qlora"), tmp_path / "merged"
    assert "trained on the base in 4 bits" in merge_adapter(stage, out)
    assert (logits(out) - logits(stage, four_bit=False)).abs().max() < 1e-5
    assert (logits(out) - logits(stage)).abs().max() > 1e-3, "by itself it is loaded in 4 bits"
    assert "quantization_config" not in json.loads((out / "config.json").read_text())


def test_whole_weights_need_no_merging(tmp_path: Path) -> None:
    stage, out = make_adapter(tmp_path), tmp_path / "merged"
    merge_adapter(stage, out)
    with pytest.raises(
        ModelError, match=r"holds whole weights, no adapter: there is nothing to merge\. Fix: use it"
    ):
        merge_adapter(out, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_what_is_no_model_is_not_merged(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds neither config"):
        merge_adapter(tmp_path, tmp_path / "out")
    with pytest.raises(ModelError, match=r"no such folder\. Fix: give a stage folder"):
        merge_adapter(tmp_path / "absent", tmp_path / "out")


def test_a_folder_in_use_is_replaced_by_force_only(tmp_path: Path) -> None:
    stage, out = make_adapter(tmp_path), tmp_path / "merged"
    out.mkdir()
    merge_adapter(stage, out)  # empty is fine
    (out / "old.txt").write_text("old")
    with pytest.raises(ModelError, match=r"is not empty\. Fix: give a new folder, or --force"):
        merge_adapter(stage, out)
    assert (out / "old.txt").exists()
    merge_adapter(stage, out, force=True)
    assert not (out / "old.txt").exists() and (out / "model.safetensors").is_file()
    assert not list(tmp_path.glob(".merged*"))


def test_force_removes_models_only(tmp_path: Path) -> None:
    stage, out = make_adapter(tmp_path), tmp_path / "letters"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(ModelError, match="is not empty and holds no model"):
        merge_adapter(stage, out, force=True)
    for place in (stage, tmp_path):
        with pytest.raises(ModelError, match="holds the adapter itself"):
            merge_adapter(stage, place, force=True)
    with pytest.raises(ModelError, match="is a file"):
        merge_adapter(stage, out / "letter.txt", force=True)
    assert (out / "letter.txt").read_text() == "dear"


def test_a_merge_that_fails_leaves_nothing_and_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, out = make_adapter(tmp_path), tmp_path / "merged"
    merge_adapter(stage, out)
    before = sorted(f.name for f in out.iterdir())

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gentool.merge.sync_folder", full)
    with pytest.raises(OSError, match="No space"):
        merge_adapter(stage, out, force=True)
    with pytest.raises(OSError, match="No space"):
        merge_adapter(stage, tmp_path / "other")
    assert sorted(f.name for f in out.iterdir()) == before
    assert {f.name for f in tmp_path.iterdir()} == {"base", "stage", "merged"}


def test_shared_embeddings_are_not_merged_into_one_side(tmp_path: Path) -> None:
    stage = make_adapter(tmp_path, target=["lm_head"], tie_word_embeddings=True)
    with pytest.raises(ModelError, match="adapts embeddings that the model's input and output share"):
        merge_adapter(stage, tmp_path / "merged")


def test_the_command_says_where_the_model_is(tmp_path: Path) -> None:
    stage, out = make_adapter(tmp_path), tmp_path / "merged"
    result = CliRunner().invoke(app, ["merge-adapter", str(stage), "--out", str(out), "--dtype", "float16"])
    assert result.exit_code == 0 and result.output.startswith(f"Model: {out} (base and adapter merged")
    assert json.loads((out / "config.json").read_text())["dtype"] == "float16"
