"""YAML values: what is a boolean and what a text."""

import pytest

from gentool.recipe import load_config
from gentool.strict_yaml import dump_yaml, parse_yaml


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "Off", "NO"])
def test_words_that_yaml_1_1_takes_for_booleans_are_texts(word):
    assert parse_yaml(f"a: {word}") == {"a": word}


@pytest.mark.parametrize(("word", "value"), [("true", True), ("False", False), ("TRUE", True)])
def test_true_and_false_are_booleans(word, value):
    assert parse_yaml(f"a: {word}") == {"a": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5), ("1.0e-05", 1e-5), ("-3", -3), ("+0.5", 0.5), ("7", 7), ("~", None), ("", None), ("0", 0),
        ("12:30", "12:30"), ("010", "010"), ("2026-01-31", "2026-01-31"), ("1_000", "1_000"), ("=", "="),
    ],
)  # fmt: skip
def test_numbers_are_those_of_yaml_1_2(text, value):
    found = parse_yaml(f"a: {text}")["a"]
    assert found == value and type(found) is type(value)


def test_what_is_dumped_is_read_again():
    texts = [
        "off",
        "12:30",
        "010",
        "2026-01-31",
        "1e-5",
        "null",
        "~",
        "0x1f",
        "1_000",
        "yes",
        "",
        "1.5",
        ".5",
    ]
    values = {"texts": texts, "numbers": [1e-5, 1e300, 3, -0.25, 2e16], "rest": [True, None]}
    assert parse_yaml(dump_yaml(values)) == values


def test_an_option_may_be_off(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\nmodel: {path: x}\ntrain: {shared_prefix: off}\n")
    assert load_config(recipe).train.shared_prefix == "off"
    assert load_config(recipe, ["train.shared_prefix=on"]).train.shared_prefix == "on"
