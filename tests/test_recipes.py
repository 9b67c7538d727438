"""Every recipe loads, and bad options are named."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("name", "parameters"), [("qwen3-0.6b", 596_049_920), ("llama-3.1-8b", 8_030_261_248)]
)
def test_shapes_have_the_parameters_of_the_models(name: str, parameters: int) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from gentool.training.dry_run import shape_of

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape_of(load_config(ROOT / f"recipes/{name}.yaml")))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_demo_keeps_to_its_limits() -> None:
    config = load_config(ROOT / "recipes/demo.yaml")
    assert config.evaluate.models == ["base", "sft", "gentool"]
    assert config.evaluate.max_prompts is not None and config.evaluate.max_prompts <= 150


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
