"""The whole job through the real command line, for three architectures with their own chat templates."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentool import data
from gentool.jsonl import read_jsonl
from gentool.records import SCENARIOS, Prediction
from tests.conftest import TEMPLATES, read_json, trl_template

METRICS = {
    "tool_selection",
    "served",
    "arrival",
    "ndcg",
    "argument_names",
    "argument_values",
    "exact_call",
    "malformed",
}


def template_of(architecture: str) -> Path:
    if architecture == "mistral":
        return TEMPLATES / "mistral.jinja"
    return trl_template({"qwen3": "qwen3.jinja", "llama": "llama3_1.jinja"}[architecture])


@pytest.mark.parametrize("architecture", ["qwen3", "llama", "mistral"])
def test_all_steps(
    architecture: str, gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    file = recipe(
        model__random_init__architecture=architecture,
        model__random_init__vocabulary=2000,
        model__chat_template=str(template_of(architecture)),
        train__epochs=0.5,
    )
    assert gentool("run", file) == 0
    printed = capsys.readouterr().out
    folder = tmp_path / "runs" / "tiny"
    assert "unseen query unseen tool" in printed and "report.html" in printed
    for stage in ("sft/seed-0/select", "gentool/seed-0/rank", "gentool/seed-0/select"):
        manifest = read_json(folder / "stages" / stage / "stage.json")
        assert {"data_hash", "template_hash", "parent_hash", "options", "tokens"} <= set(manifest["identity"])
        assert manifest["config"]["batch_size"] == 8 and manifest["metrics"]["first_loss"] > 0
        assert (folder / "stages" / stage / "model.safetensors").is_file()
    tokens = {
        arm: sum(read_json(p)["identity"]["tokens"] for p in (folder / "stages" / arm).rglob("stage.json"))
        for arm in ("sft", "gentool")
    }
    assert tokens["sft"] == pytest.approx(tokens["gentool"], rel=0.02)
    scores = read_json(folder / "scores.json")
    assert set(scores) == {"schema", "seeds", "confidence", "models", "comparisons"}
    assert set(scores["models"]) == {"base", "sft", "gentool"}
    for scenarios in scores["models"].values():
        assert set(scenarios) == set(SCENARIOS)
        for transitions in scenarios.values():
            assert set(transitions) == {"zero", "zero_to_one", "weak_to_strong", "all"}
            for metrics in transitions.values():
                assert set(metrics) == METRICS
                for cell in metrics.values():
                    assert set(cell) == {"value", "low", "high", "n_pairs", "n_queries"}
    for model in scores["models"]:
        asked = [
            p
            for s in SCENARIOS
            for p in read_jsonl(Prediction, folder / "predictions" / model / f"{s}.jsonl")
        ]
        assert 0 < len(asked) <= 24 and all(p.model == model for p in asked)
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "gentool" in html and "http://" not in html.replace("http://www.w3.org", "")


def test_a_second_run_does_nothing_and_a_change_redoes_what_depends_on_it(
    gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    file = recipe()
    assert gentool("run", file) == 0
    folder = tmp_path / "runs" / "tiny"
    weights = folder / "stages" / "gentool" / "seed-0" / "select" / "model.safetensors"
    made = weights.stat().st_mtime_ns
    scores = (folder / "scores.json").read_text(encoding="utf-8")
    capsys.readouterr()
    assert gentool("run", file) == 0
    printed = capsys.readouterr().err
    assert printed.count("done before") == 4, "the build and three stages"
    assert "to do" not in printed
    assert weights.stat().st_mtime_ns == made
    lineage = (folder / "lineage.json").read_text(encoding="utf-8")
    assert gentool("run", file) == 0
    assert (folder / "lineage.json").read_text(encoding="utf-8") == lineage
    assert gentool("run", file, "--set", "evaluate.max_new_tokens=4") == 0
    assert weights.stat().st_mtime_ns == made
    assert gentool("run", file, "--set", "train.stages={rank: {learning_rate: 0.01}}") == 0
    assert weights.stat().st_mtime_ns != made
    assert gentool("run", file, "--set", "name=again") == 0
    assert (tmp_path / "runs" / "again" / "scores.json").read_text(encoding="utf-8") == scores


def test_one_output_lora_with_two_seeds(
    gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path
) -> None:
    file = recipe(
        seeds=[0, 1],
        train__schedule="one_output",
        train__method="lora",
        train__arms=["no_ranking", "gentool"],
        evaluate__models=["no_ranking", "gentool"],
    )
    assert gentool("run", file) == 0
    folder = tmp_path / "runs" / "tiny"
    assert read_json(folder / "scores.json")["seeds"] == [0, 1]
    for seed in (0, 1):
        assert (folder / "stages/gentool" / f"seed-{seed}" / "joint/adapter_model.safetensors").is_file()
    asked = read_jsonl(Prediction, folder / "predictions/gentool/seen_query_seen_tool.jsonl")
    assert {p.task for p in asked} == {"joint"} and {p.seed for p in asked} == {0, 1}


def test_mixed_schedule_trains_one_stage(
    gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path
) -> None:
    assert (
        gentool("train", recipe(train__schedule="mixed", train__arms=["gentool"], evaluate__models=["base"]))
        == 0
    )
    assert [p.parent.name for p in (tmp_path / "runs/tiny/stages").rglob("stage.json")] == ["mixed"]


def test_preview_shows_the_trained_tokens(
    gentool: Callable[..., int], recipe: Callable[..., Path], capsys: Any
) -> None:
    assert gentool("preview", recipe(), "-n", 1) == 0
    printed = capsys.readouterr().out
    assert "rank: sample" in printed and "select: sample" in printed
    assert "generate_response<|im_end|>" in printed.replace("\n", "").replace("│", "").replace(" ", "")
    assert "trained tokens" in printed


def test_predict_prints_ranking_and_call_as_json(
    gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    assert gentool("train", recipe(train__arms=["gentool"], evaluate__models=["gentool"])) == 0
    model = tmp_path / "runs/tiny/stages/gentool/seed-0/select"
    capsys.readouterr()
    lines = data.TOOLS.read_text(encoding="utf-8").splitlines()[:3]
    (tmp_path / "tools.jsonl").write_text("\n".join(lines), encoding="utf-8")
    question = ["--max-new-tokens", 5, "When does it open?"]
    code = gentool("predict", "--model", model, "--tools", "tools.jsonl", *question)
    assert code == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"ranking", "tool_call", "outcome", "error", "answer", "text"}
    assert set(answer["text"]) == {"rank", "select"}
    assert gentool("predict", "--model", model, "--tools", data.TOOLS, *question) == 2
    assert "Fix: show fewer or shorter tools" in " ".join(capsys.readouterr().err.split())


def test_import_writes_a_catalogue_that_build_can_use(
    gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    tools = [json.loads(line) for line in data.TOOLS.read_text(encoding="utf-8").splitlines()]
    listed = {
        "tools": [
            {
                "name": t["function"]["name"],
                "description": t["function"]["description"],
                "inputSchema": t["function"]["parameters"],
            }
            for t in tools
        ]
    }
    (tmp_path / "mcp.json").write_text(json.dumps(listed), encoding="utf-8")
    assert gentool("import", "mcp.json", "--out", "catalogue") == 0
    assert len((tmp_path / "catalogue/tools.jsonl").read_text().splitlines()) == len(tools)
    assert gentool("build", recipe(data__tools=[str(tmp_path / "catalogue/tools.jsonl"), "package"])) == 0
    assert "unseen_query_unseen_tool" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "absent.yaml"], ["absent.yaml", "cannot be read", "Fix:"]),
        (["run", "RECIPE", "--set", "train.epoch=3"], ["train.epoch", "did you mean 'epochs'"]),
        (["run", "RECIPE", "--set", "train.epochs=many"], ["train.epochs", "found"]),
        (["run", "RECIPE", "--set", "data.pairs=absent.jsonl"], ["absent.jsonl", "cannot be read"]),
        (["run", "RECIPE", "--set", "model.path=absent"], ["exactly one of `path` and `random_init`"]),
        (["run", "RECIPE", "--set", "scenarios.k=60"], ["distractors", "Fix: add stand-alone tools"]),
        (
            ["run", "RECIPE", "--set", "train.max_length=30"],
            ["do not fit into 30 tokens", "Fix: set train.max_length to"],
        ),
        (["run", "RECIPE", "--set", "evaluate.models=[no_ranking]"], ["no_ranking", "does not train"]),
        (["run"], ["Missing argument"]),
        (["build", "RECIPE", "--sot", "x"], ["No such option"]),
        (["report", "nowhere"], ["nowhere", "gentool run"]),
        (["import", "absent.json"], ["absent.json"]),
        (
            ["predict", "--model", "absent", "--tools", "TOOLS", "x"],
            ["model 'absent': no such folder", "Fix:"],
        ),
        (["preview", "RECIPE", "--task", "nothing"], ["--task", "nothing"]),
        (["preview", "RECIPE", "--task", "joint"], ["--task", "two_pass trains rank, select"]),
        (["predict", "-m", "x", "-t", "TOOLS", "--now", "tomorrow", "x"], ["--now", "ISO 8601", "Fix:"]),
        (["report", "RECIPE"], ["is a file", "gentool run"]),
    ],
)
def test_bad_input_gives_one_message_and_exit_code_2(
    words: list[str],
    expected: list[str],
    gentool: Callable[..., int],
    recipe: Callable[..., Path],
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    places = {"RECIPE": str(recipe()), "TOOLS": str(data.TOOLS)}
    assert gentool(*[places.get(w, w) for w in words]) == 2
    printed = capsys.readouterr().err
    for part in expected:
        assert part in printed
    assert "Traceback" not in printed


def test_help_has_examples(gentool: Callable[..., int], capsys: Any) -> None:
    for command in (
        "run",
        "build",
        "preview",
        "train",
        "evaluate",
        "report",
        "import",
        "check",
        "predict",
        "merge-adapter",
    ):
        assert gentool(command, "--help") == 0
        assert f"gentool {command} " in capsys.readouterr().out


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys; sys.argv = ['gentool', '--help']\n"
        "from gentool.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_ctrl_c_says_how_to_go_on_and_the_same_command_goes_on(
    recipe: Callable[..., Path], tmp_path: Path
) -> None:
    file = recipe(train__epochs=40, train__arms=["gentool"], evaluate__models=["gentool"])
    command = [sys.executable, "-m", "gentool", "train", str(file)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ})
    folder = tmp_path / "runs/tiny/stages/gentool/seed-0/rank/checkpoints"
    deadline = time.monotonic() + 120
    while not list(folder.glob("checkpoint-*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"To go on: {shlex.join(command)}" in printed
    assert list(folder.glob("checkpoint-*"))
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert list(folder.glob("checkpoint-*")), "a killed process loses nothing"


def test_a_model_from_a_folder_with_the_text_fallback(
    gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    """A model of one's own, with a template that ignores tools: refused as it is, trained with the fallback."""
    template = trl_template("gemma.jinja")
    # The tokenizer is made for the template, so that its markers are tokens.
    made = {"model__chat_template": str(template), "prompt__tool_format": "text"}
    assert (
        gentool("train", recipe(name="first", train__arms=["gentool"], evaluate__models=["base"], **made))
        == 0
    )
    own = tmp_path / "own"
    (tmp_path / "runs/first/base").rename(own)
    changes = {
        "model": {"path": str(own), "chat_template": str(template)},
        "train__method": "lora",
        "train__schedule": "one_output",
        "train__arms": ["gentool"],
        "evaluate__models": ["base", "gentool"],
        "prompt__tool_format": "native",
    }
    file = recipe(name="second", **changes)
    assert gentool("run", file) == 2
    assert "ignores `tools`" in " ".join(capsys.readouterr().err.split())
    assert gentool("run", file, "--set", "prompt.tool_format=text") == 0
    manifest = read_json(tmp_path / "runs/second/stages/gentool/seed-0/joint/stage.json")
    assert manifest["identity"]["tool_format"] == "text" and manifest["parent"] == str(own.resolve())
