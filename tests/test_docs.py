"""What README and documentation show is true: commands parse, recipe keys exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gentool.ablation.settings import load_ablation
from gentool.catalog.pairs import read_tools
from gentool.cli import app
from gentool.config import Config, MixOptions
from gentool.options import options, options_page
from gentool.recipe import load_config, make_config
from gentool.strict_yaml import parse_yaml
from gentool.training.mixture import read_mixture

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
KEYS = {re.sub(r"\[\]|\.NAME", "", option.key) for option in options()}
BASE: dict[str, Any] = {"name": "any", "model": {"random_init": {}}}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(text: str, language: str = "") -> list[str]:
    """The fenced blocks of a language, also those within a list."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1``` *$", text, flags=re.M | re.S)
    return [re.sub(rf"^{indent}", "", block, flags=re.M) for indent, of, block in found if of == language]


def inline(text: str) -> list[str]:
    """The text between backticks, outside of fenced blocks."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]


def commands(text: str) -> Iterator[list[str]]:
    """The words after ``gentool`` of every call of it, however it is launched; what a run prints is none."""
    lines = [*"\n".join(blocks(text)).replace("\\\n", " ").splitlines(), *inline(text)]
    for line in lines:
        if found := re.match(
            r"(?:gentool|(?:torchrun|accelerate launch|python) .*?-m gentool) +(?!seed \d)([a-z].*)", line
        ):
            yield shlex.split(found[1], comments=True)


def dry_parse(words: list[str]) -> dict[str, Any]:
    """The parameters of a call, as the command line reads them; raises for what it does not know.

    Arguments may be missing: a sentence names a command with the option that it is about.
    """
    group: Any = typer.main.get_command(app)
    name, command, rest = group.resolve_command(group.make_context("gentool", words[:1]), words)
    try:
        return dict(command.make_context(name, rest).params)
    except Exception as error:
        if "Missing parameter" not in str(error):
            raise
        return {}


def check_settings(settings: list[str] | None) -> None:
    """Raise for ``--set`` settings that are none; of those the shell fills in, the key alone counts."""
    for setting in settings or []:
        assert setting.partition("=")[0] in KEYS, setting
    load_config(ROOT / "recipes" / "demo.yaml", [s for s in settings or [] if "$(" not in s])


SAMPLE_PAGE = """\
`gentool report runs/A` and `gentool run` and `gentool - sft`
```yaml
seeds: [1]
```
   ```
   torchrun -m gentool run a.yaml \\
     --set seed=1  # says
   ```
"""


def test_commands_are_found_and_read() -> None:
    assert list(commands(SAMPLE_PAGE)) == [
        ["run", "a.yaml", "--set", "seed=1"],
        ["report", "runs/A"],
        ["run"],
    ]
    assert blocks(SAMPLE_PAGE, "yaml") == ["seeds: [1]\n"]
    assert dry_parse(["run", "a.yaml", "--set", "seed=1"])["set_"] == ["seed=1"]
    for wrong in (["rum", "a.yaml"], ["run", "a.yaml", "--sett", "seed=1"], ["run", "a.yaml", "b.yaml"]):
        with pytest.raises(Exception, match=r"No such|unexpected"):
            dry_parse(wrong)
    with pytest.raises(AssertionError, match="sead"):
        check_settings(["sead=1"])


@each_page
def test_commands_parse_and_their_settings_are_options(page: Path) -> None:
    for words in commands(read(page)):
        call = dry_parse(words)
        if words[0] == "ablate" and call:  # settings of the ablation's own file
            load_ablation(ROOT / call["file"], call["set_"])
        else:
            check_settings(call.get("set_"))


def recipe_of(tree: dict[str, Any]) -> dict[str, Any]:
    """A whole recipe from the part that a page shows: options of the top, or of one group."""
    groups = {name: field.annotation.model_fields for name, field in Config.model_fields.items()
              if hasattr(field.annotation, "model_fields")}  # fmt: skip
    if not tree.keys() <= Config.model_fields.keys():
        (group,) = [name for name, fields in groups.items() if tree.keys() <= fields.keys()]
        tree = {group: tree}
    if "synthesis" in tree:
        tree = {**tree, "synthesis": {"tools": "tools.jsonl", "teacher": "rules", **tree["synthesis"]}}
    return {**BASE, **tree}


@each_page
def test_yaml_is_a_recipe_or_a_part_of_one(page: Path) -> None:
    text = read(page)
    for block in blocks(text, "yaml"):
        make_config(recipe_of(parse_yaml(block)), f"{page.name}: {block}")
    tops = "|".join(Config.model_fields)
    for code in inline(text):
        if re.fullmatch(rf"(?:{tops}): +\S.*", code):
            make_config(recipe_of(parse_yaml(code)), f"{page.name}: {code}")


@each_page
def test_options_named_exist(page: Path) -> None:
    groups = {key.partition(".")[0] for key in KEYS if "." in key}
    for code in inline(re.sub(r"\[\]|\.NAME", "", read(page))):
        for name in re.findall(rf"(?<![\w./-])(?:{'|'.join(groups)})\.[a-z_.]+[a-z]", code):
            assert any(key == name or key.startswith(f"{name}.") for key in KEYS), f"{page.name}: {name}"


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@each_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", read(page)):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if heading:
            assert heading in [anchor(h) for h in re.findall(r"^#+ (.+)$", read(target), flags=re.M)], link


@each_page
def test_files_named_exist(page: Path) -> None:
    for name in re.findall(r"(?<![\w/])(?:recipes|bench|tests|src|docs)/[\w./-]*\w", read(page)):
        assert (ROOT / name).exists(), name
    makefile = read(ROOT / "Makefile")
    for code in [*inline(read(page)), *"\n".join(blocks(read(page))).splitlines()]:
        if target := re.match(r"make ([a-z-]+)\b", code):
            assert re.search(rf"^{target[1]}:", makefile, flags=re.M), code


def test_examples_of_file_formats_are_read(tmp_path: Path) -> None:
    tool, *_, conversations = [
        b for b in blocks(read(ROOT / "docs" / "formats.md"), "json") if '"...": ' not in b
    ]
    (tmp_path / "tools.jsonl").write_text(tool, encoding="utf-8")
    assert [t.name for t in read_tools(tmp_path / "tools.jsonl")] == ["list_public_holidays"]
    (tmp_path / "mix.jsonl").write_text(conversations, encoding="utf-8")
    turns = read_mixture([MixOptions(path=str(tmp_path / "mix.jsonl"), held_out=0)], seed=0).turns
    assert [turn.answer["content"] for turn in turns if turn.answer["content"]] == [
        "A plant without flowers.",
        "On the second floor.",
        "Done.",
    ]
    assert [
        call["function"]["arguments"] for turn in turns for call in turn.answer.get("tool_calls", [])
    ] == [{"day": "Monday"}]


def test_the_page_of_options_is_current() -> None:
    assert read(ROOT / "docs" / "options.md") == options_page(), (
        "docs/options.md is not current. Fix: python -m gentool.options > docs/options.md"
    )


def test_every_option_is_described() -> None:
    assert [option.key for option in options() if not option.meaning] == []


def test_options_hold_every_key_of_a_whole_configuration() -> None:
    def keys(tree: dict[str, Any], before: str = "") -> Iterator[str]:
        for key, value in tree.items():
            yield before + key
            if isinstance(value, dict) and before + key != "scenarios.groups":
                yield from keys(value, f"{before}{key}.")

    whole = make_config(BASE, "any").model_dump(mode="json")
    assert set(keys(whole)) <= KEYS | {key.rpartition(".")[0] for key in KEYS}


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda p: p.stem)
def test_commands_in_the_head_of_a_recipe_parse(recipe: Path) -> None:
    comments = [line.lstrip("# ") for line in read(recipe).splitlines() if line.startswith("#")]
    comments = [re.split(r" {2,}", line)[0] for line in comments]  # what follows is said about the command
    for words in commands("```\n" + "\n".join(comments) + "\n```"):
        dry_parse(words)
        named = [word for word in words if word.startswith("recipes/")]
        assert all((ROOT / word).is_file() for word in named), words
