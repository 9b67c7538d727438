"""YAML values: what is a boolean and what a text."""

import pytest

from gentool.config import load_config
from gentool.strict_yaml import parse_yaml


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "Off", "NO"])
def test_words_that_yaml_1_1_takes_for_booleans_are_texts(word):
    assert parse_yaml(f"a: {word}") == {"a": word}


@pytest.mark.parametrize(("word", "value"), [("true", True), ("False", False), ("TRUE", True)])
def test_true_and_false_are_booleans(word, value):
    assert parse_yaml(f"a: {word}") == {"a": value}


def test_an_option_may_be_off(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\nmodel: {path: x}\ntrain: {shared_prefix: off}\n")
    assert load_config(recipe).train.shared_prefix == "off"
    assert load_config(recipe, ["train.shared_prefix=on"]).train.shared_prefix == "on"
