"""Every recipe loads, and bad options are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gentool.config import ConfigError
from gentool.recipe import dump_config, load_config, make_config

ROOT = Path(__file__).parent.parent


RECIPES = sorted(p for p in (ROOT / "recipes").glob("*.yaml") if not p.stem.startswith("ablation"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_loads_and_its_resolved_form_is_equal(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    resolved = tmp_path / "config.yaml"
    resolved.write_text(dump_config(config), encoding="utf-8")
    assert load_config(resolved) == config


@pytest.mark.parametrize("path", sorted((ROOT / "recipes/accelerate").glob("*.yaml")), ids=lambda p: p.stem)
def test_accelerate_reads_its_configuration_files(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(path))
    assert config.distributed_type == "FSDP" and config.fsdp_config["fsdp_version"] == 2


PARAMETERS = {
    "gemma-3-1b-text": 999_885_952,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.2-1b-lora": 1_235_814_400,
    "llama-3.2-3b-lora": 3_212_749_824,
    "mistral-7b-lora": 7_248_023_552,
    "phi-3.5-mini-lora": 3_821_079_552,
    "phi-4-mini-lora": 3_836_021_760,
    "qwen2.5-1.5b-lora": 1_543_714_304,
    "qwen2.5-7b-qlora": 7_615_616_512,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b-lora": 4_022_468_096,
    "qwen3-8b-qlora": 8_190_735_360,
}
"""Of the models on the hub that recipes train, without adapters."""

each_model = pytest.mark.parametrize("name", sorted(PARAMETERS))


def test_recipes_of_real_models_are_known() -> None:
    """A recipe that trains a model of the hub, on pairs that are at hand."""
    configs = map(load_config, RECIPES)
    found = [c.name for c in configs if c.model.path and "/" in c.model.path and c.synthesis is None]
    assert found == sorted(PARAMETERS)


@each_model
def test_shapes_have_the_parameters_of_the_models(name: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from gentool.training.dry_run import shape_of

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape_of(load_config(ROOT / f"recipes/{name}.yaml")))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@each_model
def test_recipes_of_real_models_begin_with_their_launch_and_cost(name: str) -> None:
    import torch

    from gentool.training.dry_run import GIB, _build, _static, shape_of

    path = ROOT / f"recipes/{name}.yaml"
    config = load_config(path)
    assert config.data.pairs == config.data.tools == "gentool-open"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    launch = rf"#   (accelerate launch \S+ \S+ -m )?gentool run recipes/{re.escape(name)}\.yaml"
    assert re.fullmatch(launch, lines[1])
    assert lines[2].startswith(f"#   gentool train recipes/{name}.yaml --dry-run --random-init  ")
    model = _build(shape_of(config), config, torch.device("meta"))
    all_, trained = (
        sum(p.numel() for p in model.parameters() if p.requires_grad >= t) for t in (False, True)
    )
    static = _static(model, config.train.method == "qlora") / GIB
    cost = re.fullmatch(
        r"(.+); memory (\S+) GiB: (\S+) weights, .+, (\S+) activations of the longest .+", lines[3]
    )
    assert cost is not None
    assert cost[1] == f"# {all_:,} parameters, {trained:,} of them trained ({config.train.method})"
    assert cost[3] == f"{static:.1f}" and float(cost[4]) > 0
    assert float(cost[2]) == pytest.approx(float(cost[3]) + float(cost[4]), abs=0.11)
    time = re.fullmatch(
        r"# (\d) arms, (\d) seeds?: (\d+) million tokens, (\S+) PFLOP .+: (\S+) hours at 200 TFLOP/s\. .+",
        lines[4],
    )
    assert time is not None
    assert (int(time[1]), int(time[2])) == (len(config.train.arms), len(config.seeds))
    tokens, operations = int(time[3]) * 1e6, float(time[4].replace(",", "")) * 1e15
    # Six for each weight and token; two less where weights are frozen, two more where the pass is computed twice.
    assert 3.5 < operations / tokens / all_ < 9
    assert float(time[5]) == pytest.approx(operations / 2e14 / 3600, abs=0.06)


def test_demo_keeps_to_its_limits() -> None:
    config = load_config(ROOT / "recipes/demo.yaml")
    assert config.evaluate.models == ["base", "sft", "gentool"]
    assert config.evaluate.max_prompts is not None and config.evaluate.max_prompts <= 400


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"trian": {}}, "trian: unknown key; did you mean 'train'?"),
        ({"train": {"learning_rates": {"sfd": 1}}}, "train.learning_rates.sfd"),
        (
            {"model": {"random_init": {"layer": 3}}},
            "model.random_init.layer: unknown key; did you mean 'layers'?",
        ),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "seeds must differ"),
        ({"scenarios": {"k": 2}}, "scenarios.k"),
        ({"scenarios": {"groups": {"T": 0, "A": 1}}}, "the share of T must be above 0"),
        ({"name": "a/b"}, "name"),
        ([], "expected a mapping of options; found list"),
    ],
)
def test_bad_options_are_named(change: object, expected: str) -> None:
    tree: object = {"name": "x", "model": {"random_init": {}}}
    tree = {**tree, **change} if isinstance(change, dict) else change  # type: ignore[dict-item]
    with pytest.raises(ConfigError) as caught:
        make_config(tree, "recipe.yaml")
    assert expected in str(caught.value) and str(caught.value).startswith("recipe.yaml: ")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.learning_rate=1e-5", 1e-5),
        ("seeds=[0, 1]", [0, 1]),
        ("scenarios.embedding=tfidf", "tfidf"),
        ("train.stages.rank.epochs=2", 2),
    ],
)
def test_settings_change_options(setting: str, expected: object) -> None:
    value: object = load_config(ROOT / "recipes/demo.yaml", [setting])
    for part in setting.partition("=")[0].split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    assert value == expected


@pytest.mark.parametrize("setting", ["train.epochs", "name.x=1"])
def test_bad_settings_are_named(setting: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        load_config(ROOT / "recipes/demo.yaml", [setting])
