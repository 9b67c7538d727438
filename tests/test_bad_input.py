"""Bad input of every kind through the command line: one clear message, exit code 2, nothing left half-written."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from gentool import data
from gentool.cli import main
from gentool.evaluation.scores import SCHEMA
from tests.test_records import call, pair, query, tool

Content = bytes | str | list[Any] | dict[str, Any] | Callable[[bytes], bytes] | None
"""Of a file: as it is; a list: JSON lines; a dict: JSON, or changes to the recipe; what spoils it; ``None``: none."""


@dataclass(frozen=True)
class Row:
    """Files that replace the good ones, the command, and what its message must say."""

    says: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)
    words: tuple[str, ...] = ("build", "recipe.yaml")


def pairs(*lines: Any, says: tuple[str, ...]) -> Row:
    return Row(("pairs.jsonl:1: ", *says), {"pairs.jsonl": list(lines)})


def tools(*lines: Any, says: tuple[str, ...]) -> Row:
    return Row(("tools.jsonl:", *says), {"tools.jsonl": list(lines)})


def recipe(*says: str, **changes: Any) -> Row:
    return Row(("recipe.yaml: ", *says), {"recipe.yaml": changes})


def text(name: str, content: bytes | str, *says: str) -> Row:
    return Row((name, *says), {name: content})


def setting(value: str, *says: str) -> Row:
    return Row(says, words=("build", "recipe.yaml", "--set", value))


def nested(levels: int) -> str:
    """A tool with a parameter of that many levels, as text: ``json`` writes no 500."""
    inner = '{"properties": {"in": ' * levels + "{}" + "}}" * levels
    return json.dumps(tool(parameters=parameters(city="INNER"))).replace('"INNER"', inner)


def parameters(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def bad_call(**changes: Any) -> dict[str, Any]:
    return pair(queries=[query(tool_calls=[call(arguments=changes), call("list_cities")])])


GOOD_LINE = json.dumps(pair())
MCP = {
    "tools": [{"name": "find", "description": "Finds.", "inputSchema": parameters(what={"type": "string"})}]
}
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10"
BASE = "model: {path: base}\n"

FILES: dict[str, Row] = {
    "broken JSON": text(
        "pairs.jsonl",
        '{"domain": travel}\n',
        ":1: expected one JSON object a line",
        "found '{\"domain\": travel}'",
        "Fix: correct the line",
    ),
    "last line cut": text(
        "pairs.jsonl",
        GOOD_LINE + "\n" + GOOD_LINE[:80],
        ":2: expected one JSON object a line",
        "Unterminated",
        "Fix: correct the line",
    ),
    "NaN": text("pairs.jsonl", GOOD_LINE.replace('"Oslo"', "NaN"), ":1: ", "NaN is not JSON", "Fix:"),
    "Infinity": text(
        "pairs.jsonl", GOOD_LINE.replace('"Oslo"', "-Infinity"), ":1: ", "-Infinity is not JSON", "Fix:"
    ),
    "a number beyond all floats": text(
        "pairs.jsonl", GOOD_LINE.replace('"Oslo"', "1e999"), ":1: ", "1e999 is too large a number", "Fix:"
    ),
    "NaN in arguments as text": pairs(
        pair(
            queries=[
                query(
                    tool_calls=[
                        {"function": {"name": "find_city", "arguments": '{"city": NaN}'}},
                        call("list_cities"),
                    ]
                )
            ]
        ),
        says=("queries.0.tool_calls.0.function.arguments: ", "Fix:"),
    ),
    "a key twice": text(
        "pairs.jsonl",
        GOOD_LINE.replace('"domain"', '"domain": "x", "domain"'),
        ":1: ",
        "the key 'domain' is there twice",
        "Fix:",
    ),
    "UTF-16": text(
        "pairs.jsonl",
        GOOD_LINE.encode("utf-16"),
        "expected text in UTF-8; found UTF-16",
        "Fix: save the file as UTF-8",
    ),
    "UTF-16 without a mark": text(
        "pairs.jsonl",
        GOOD_LINE.encode("utf-16-le"),
        "expected text in UTF-8; found NUL bytes",
        "Fix: save the file as UTF-8",
    ),
    "Latin-1": text(
        "pairs.jsonl",
        GOOD_LINE.replace("Oslo", "Ålesund").encode("latin-1"),
        ":1: expected UTF-8; found byte 0xc5 at column",
        "Fix: save the file as UTF-8",
    ),
    "a NUL byte": text(
        "pairs.jsonl", GOOD_LINE.replace("Oslo", "Os\0lo"), ":1: ", "Invalid control character", "Fix:"
    ),
    "half of a gzip": text(
        "tools.jsonl", gzip.compress(b"{}", mtime=0)[:-9], "found a damaged one", "Fix: fetch it"
    ),
    "a picture": text("pairs.jsonl", PNG, "found a PNG image", "Fix: check the path"),
    "an empty file": text("pairs.jsonl", "", "expected tool pairs; found none", "Fix:"),
    "blank lines": text("pairs.jsonl", "\n  \n\r\n", "expected tool pairs; found none", "Fix:"),
    "no tools": text(
        "tools.jsonl", "\n", "expected tools; found none", "Fix: check the file, or write `data.tools: null`"
    ),
    "a folder for pairs": Row(
        ("data.pairs: folder", "found a folder", "Fix: correct data.pairs"),
        {"folder/x": ""},
        ("build", "recipe.yaml", "--set", "data.pairs=folder"),
    ),
    "pairs not there": setting(
        "data.pairs=absent.jsonl", "data.pairs: absent.jsonl", "found no such file", "Fix: correct data.pairs"
    ),
    "tools not there": setting(
        "data.tools=[tools.jsonl, absent.jsonl]",
        "data.tools: absent.jsonl",
        "found no such file",
        "Fix: correct data.tools",
    ),
    "an array on one line": text(
        "pairs.jsonl", f"[{GOOD_LINE}]", ":1: (record): ", "found [{", "Fix: write one JSON object a line"
    ),
    "an array over lines": text(
        "pairs.jsonl",
        json.dumps([pair()], indent=1),
        ":1: expected one JSON object a line; found one JSON document over several lines",
        "Fix: write each object on a line",
        "jq -c '.[]' pairs.jsonl",
    ),
}

RECORDS: dict[str, Row] = {
    "wrong type": pairs(pair(domain=3), says=("domain: Input should be a valid string; found 3", "Fix:")),
    "unknown field": pairs(
        pair(theme="x"), says=("theme: ", 'found "x"', "Fix: remove the field or correct its name")
    ),
    "field missing": pairs(
        {"domain": "x"}, says=("tools: Field required", "derivation: Field required", "Fix: add the field")
    ),
    "unknown way": pairs(
        pair(derivation={"tool": "list_cities", "from_tool": "find_city", "how": "worse"}),
        says=("derivation.how: ", "'coarser_result'", 'found "worse"', "Fix: use one of"),
    ),
    "unknown group": pairs(
        pair(group="X"), says=("group: ", "'T', 'D', 'A', 'B' or 'U'", 'found "X"', "Fix: use one of")
    ),
    "the same pair twice": Row(
        ("pairs.jsonl:2: the pair ('find_city', 'list_cities') is in the file twice", "Fix: remove one"),
        {"pairs.jsonl": [pair(), pair()]},
    ),
    "a name in two pairs": Row(
        (
            "pairs.jsonl:2: tools: the name 'find_city' is also used by the pair at pairs.jsonl:1",
            "Fix: rename",
        ),
        {"pairs.jsonl": [pair(), pair(tools=[tool(), tool("list_cities", description="Other.")])]},
    ),
    "a wrong id": pairs(
        pair(id="0123456789ab"), says=("expected id '2ff2a11ee165'", "Fix: delete the field `id`")
    ),
    "a query twice": pairs(
        pair(queries=[query(), query()]),
        says=("each query once in a pair", "queries.1", "Where is Oslo?", "Fix: remove the duplicate"),
    ),
    "grades of an unknown tool": pairs(
        pair(
            queries=[
                query(
                    grades={"find_town": "full", "list_cities": "none"},
                    best="find_town",
                    tool_calls=[call("find_town")],
                )
            ]
        ),
        says=(
            "`queries.0.grades` to grade exactly the pair's tools ('find_city', 'list_cities')",
            "found ['find_town', 'list_cities']",
            "Fix: grade both tools",
        ),
    ),
    "best graded none": pairs(
        pair(
            queries=[
                query(grades={"find_city": "none", "list_cities": "full"}, tool_calls=[call("list_cities")])
            ]
        ),
        says=("queries.0: expected `best`", "found 'find_city'", "Fix: correct `best`"),
    ),
    "call missing": pairs(
        pair(queries=[query(tool_calls=[call()])]),
        says=(
            "queries.0: expected one entry of `tool_calls` for each useful tool",
            "Fix: add the missing call",
        ),
    ),
    "call without a required argument": pairs(
        bad_call(town="Oslo"),
        says=("queries.0.tool_calls.0: ", "'city' is a required property", "Fix: correct schema or call"),
    ),
    "call of the wrong type": pairs(
        bad_call(city=7), says=("queries.0.tool_calls.0: city: 7 is not of type 'string'", "Fix:")
    ),
    "pair without queries": pairs(
        pair(queries=[]), says=("queries: expected graded queries; found none", "Fix: write some")
    ),
    "empty query": pairs(
        pair(queries=[query(query="")]), says=("queries.0.query: ", 'found ""', "Fix: write a text")
    ),
    "now no date": pairs(
        pair(queries=[query(now="today")]),
        says=("queries.0.now: expected a date", "found 'today'", "Fix: write it like"),
    ),
    "no pair in group T": Row(
        ("no pair of group T has queries", "Fix: give pairs the group T"), {"pairs.jsonl": [pair(group="A")]}
    ),
    "tool in both pairs and groups": Row(
        ("find_city", "near-duplicate", "must stay unseen", "Fix: put both pairs in one group"),
        {
            "pairs.jsonl": [
                pair(group="T"),
                pair(
                    group="U",
                    tools=[tool("find_a_city"), tool("list_all_cities")],
                    derivation={
                        "tool": "list_all_cities",
                        "from_tool": "find_a_city",
                        "how": "fewer_filters",
                    },
                    queries=[
                        query(
                            grades={"find_a_city": "full", "list_all_cities": "none"},
                            best="find_a_city",
                            tool_calls=[call("find_a_city")],
                        )
                    ],
                ),
            ]
        },
    ),
    "too few tools": Row(
        ("train-side distractors; found", "Fix: add stand-alone tools to data.tools"),
        {"pairs.jsonl": [pair()], "tools.jsonl": [tool("a"), tool("b")]},
    ),
    "two faults in two lines": Row(
        ("pairs.jsonl:1: domain: ", "pairs.jsonl:2: queries: expected graded queries"),
        {"pairs.jsonl": [pair(domain=1), pair(queries=[])]},
    ),
    "hundreds of faults": Row(
        ("pairs.jsonl: and 290 more. `gentool check` names all",), {"pairs.jsonl": [pair(domain=1)] * 300}
    ),
}

TOOLS: dict[str, Row] = {
    "the same tool twice": tools(
        tool(), tool(), says=("2: the tool 'find_city' is in the file twice", "Fix: remove one")
    ),
    "one name for two tools": tools(
        tool(),
        tool(parameters=parameters(place={"type": "string"})),
        says=("2: function.name: another tool at tools.jsonl:1 is called 'find_city' too", "Fix: rename one"),
    ),
    "a name with a dot": tools(
        tool("find.city"),
        says=("1: function.name: ", 'found "find.city"', "Fix: use letters, digits, _ and - only"),
    ),
    "the default tool": tools(
        tool("generate_response"),
        says=("1: function.name: 'generate_response' is the default tool's name", "Fix: rename"),
    ),
    "an invalid schema": tools(
        tool(parameters=parameters(city={"minLength": "one"})),
        says=(
            "1: function.parameters.properties.city.minLength: not a valid JSON Schema",
            "Fix: correct the tool",
        ),
    ),
    "an unknown type": tools(
        tool(parameters=parameters(city={"type": "text"})),
        says=("1: function.parameters.properties.city.type: not a valid JSON Schema", "'text'", "Fix:"),
    ),
    "required names nothing": tools(
        tool(parameters={**parameters(), "required": ["city"]}),
        says=("1: function.parameters.required: names ['city'] are not among the properties", "Fix:"),
    ),
    "a reference in a circle": tools(
        tool(parameters=parameters(city={"$ref": "#/properties/city"})),
        says=("1: function.parameters: a reference leads in a circle", "Fix:"),
    ),
    "a reference to a file": tools(
        tool(parameters=parameters(city={"$ref": "file:///etc/passwd"})),
        says=("1: function.parameters: 'file:///etc/passwd' leads nowhere", "Fix:"),
    ),
    "a reference to the network": tools(
        tool(parameters=parameters(city={"$ref": "http://127.0.0.1:9/schema"})),
        says=("1: function.parameters: 'http://127.0.0.1:9/schema' leads nowhere", "Fix:"),
    ),
    "a reference in a pair": pairs(
        pair(tools=[tool(parameters=parameters(city={"$ref": "x.json"})), tool("list_cities")]),
        says=("tools.0.function.parameters: 'x.json' leads nowhere", "Fix:"),
    ),
    "a huge description": tools(
        tool(description="x" * 5_000_000),
        says=("1: function.(all): expected at most 200,000 characters", "found 5,0", "Fix:"),
    ),
    "500 levels": text("tools.jsonl", nested(500), ":1: ", "nested", "Fix:"),
    "80 levels": text(
        "tools.jsonl", nested(40), ":1: function.parameters: nested too deeply: more than 64 levels", "Fix:"
    ),
    "100,000 values": tools(
        tool(parameters=parameters(city={"enum": list(range(100_000))})),
        says=("1: function.(all): expected at most", "Fix:"),
    ),
    "half a character": text("tools.jsonl", json.dumps(tool(description="\ud800")), ":1: ", "Fix:"),
    "half a character deep inside": text(
        "tools.jsonl",
        json.dumps(tool(parameters=parameters(city={"enum": ["\ud800"]}))),
        ":1: ",
        "surrogates",
        "Fix:",
    ),
    "half a character as a key": text("pairs.jsonl", json.dumps({**pair(), "\ud800": 1}), ":1: ", "Fix:"),
    "MCP for tools": text(
        "tools.jsonl",
        json.dumps(MCP),
        "found a catalogue in the format mcp",
        "Fix: run `gentool import tools.jsonl",
    ),
    "MCP over lines for tools": text(
        "tools.jsonl",
        json.dumps(MCP, indent=2),
        "found a catalogue in the format mcp",
        "Fix: run `gentool import",
    ),
    "an array of OpenAI tools": text(
        "tools.jsonl",
        json.dumps([tool()], indent=1),
        "found a catalogue in the format openai",
        "Fix: run `gentool import",
    ),
    "flat OpenAI tools": tools(
        {"type": "function", **tool()["function"]},
        says=(" expected one tool a line", "format openai", "Fix: run `gentool import"),
    ),
    "import: not there": Row(
        ("absent.json: expected a readable file", "Fix: check the path"), words=("import", "absent.json")
    ),
    "import: a folder": Row(
        ("folder: expected a folder with JSON", "Fix: check the path"), {"folder/x": ""}, ("import", "folder")
    ),
    "import: gzip that is not": Row(
        ("x.gz: expected JSON", "Fix: correct the file"), {"x.gz": b"not packed"}, ("import", "x.gz")
    ),
    "import: damaged gzip": Row(
        ("x.gz: expected a whole gzip file; found a damaged one", "Fix: fetch it again"),
        {"x.gz": gzip.compress(b"[]" * 99, mtime=0)[:-9]},
        ("import", "x.gz"),
    ),
    "import: a picture": Row(
        ("x.png: expected JSON", "Fix: correct the file"), {"x.png": PNG}, ("import", "x.png")
    ),
    "import: another format": Row(
        ("x.json: expected tools in one of the formats openai, mcp", "Fix: convert them"),
        {"x.json": {"openapi": "3.1.0"}},
        ("import", "x.json"),
    ),
    "import: unknown format": Row(
        ("expected a format among openai, mcp, ", "found 'yaml'", "Fix: name one"),
        words=("import", "tools.jsonl", "--format", "yaml"),
    ),
    "import: a file in the way": Row(
        ("--out: expected a folder; found the file recipe.yaml", "Fix: name another folder"),
        words=("import", "tools.jsonl", "--out", "recipe.yaml"),
    ),
    "import: a file further up": Row(
        ("--out: expected a folder; found the file recipe.yaml", "Fix:"),
        words=("import", "tools.jsonl", "--out", "recipe.yaml/a/b"),
    ),
    "runs in a file": Row(
        ("pairs.jsonl/x", "Not a directory", "Fix: "), words=("build", "recipe.yaml", "--runs", "pairs.jsonl")
    ),
}

RECIPES: dict[str, Row] = {
    "unknown key": recipe("sead: unknown key; did you mean 'seed'?", sead=1),
    "unknown nested key": recipe(
        "train.lora.rang: unknown key; did you mean 'rank'?", train={"lora": {"rang": 1}}
    ),
    "unknown key of a stage": recipe(
        "train.stages.rank.epoch: unknown key; did you mean 'epochs'?",
        train={"stages": {"rank": {"epoch": 1}}},
    ),
    "unknown stage": recipe(
        "train.stages", "'rank', 'select'", 'found "ranking"', train={"stages": {"ranking": {}}}
    ),
    "unknown schedule": recipe(
        "train.schedule: ",
        "'two_pass', 'one_output' or 'mixed'",
        'found "three_pass"',
        "Fix: use one of",
        train={"schedule": "three_pass"},
    ),
    "value out of range": recipe(
        "scenarios.k: ", "greater than or equal to 3; found 2", "Fix:", scenarios={"k": 2}
    ),
    "infinite rate": recipe("train.learning_rate: ", "finite", "Fix:", train={"learning_rate": float("inf")}),
    "seed out of range": recipe("seeds.0: ", "found -1", "Fix:", seeds=[-1]),
    "heads that do not fit": recipe(
        "model.random_init: hidden_size 30 must be a multiple of 2 x heads",
        model={"random_init": {"hidden_size": 30, "heads": 4}},
    ),
    "no model": recipe("model: ", "exactly one of `path` and `random_init`", model={}),
    "model not trained": recipe(
        "evaluate.models names ['no_ranking'], which train.arms does not train",
        evaluate={"models": ["base", "no_ranking"]},
    ),
    "wrong type of a group": recipe("train: ", "found [1]", "Fix:", train=[1]),
    "broken YAML": text(
        "recipe.yaml",
        "name: x\nmodel: {path: [\n",
        "recipe.yaml:3:1: expected YAML; found",
        "Fix: correct the line",
    ),
    "a tab": text(
        "recipe.yaml", "name: x\n\tmodel: y\n", "recipe.yaml:2:1: expected YAML; found", "'\\t'", "Fix:"
    ),
    "a list": text(
        "recipe.yaml",
        "- name\n- model\n",
        "recipe.yaml: expected a mapping of options; found list",
        "Fix: write key: value",
    ),
    "an empty recipe": text(
        "recipe.yaml", "", "recipe.yaml: expected a mapping of options; found nothing", "Fix:"
    ),
    "a key of YAML twice": text(
        "recipe.yaml",
        BASE + "name: x\nname: y\n",
        "recipe.yaml:3:1: ",
        "the key 'name' twice",
        "Fix: correct the line",
    ),
    "a nested key twice": text(
        "recipe.yaml",
        BASE + "name: x\ntrain:\n  epochs: 1\n  epochs: 2\n",
        "recipe.yaml:5:3: ",
        "the key 'epochs' twice",
        "Fix:",
    ),
    "a Python tag": text(
        "recipe.yaml",
        BASE + "name: !!python/object/apply:os.mkdir [made]\n",
        "recipe.yaml:2:7: ",
        "python/object/apply:os.mkdir",
        "Fix:",
    ),
    "aliases that grow": text(
        "recipe.yaml",
        "a: &a [x, x]\nb: [*a, *a]\n",
        "recipe.yaml:2:5: ",
        "an alias",
        "write the value out",
        "Fix:",
    ),
    "bottomless YAML": text(
        "recipe.yaml", "[" * 5000, "recipe.yaml: expected YAML; found values nested too deeply", "Fix:"
    ),
    "a recipe in Latin-1": text(
        "recipe.yaml",
        "name: é\n".encode("latin-1"),
        "recipe.yaml: expected UTF-8; found byte 0xe9",
        "Fix: save the file as UTF-8",
    ),
    "a recipe of NULs": text("recipe.yaml", b"name: \0\n", "recipe.yaml: expected YAML; found", "Fix:"),
    "keys of several types": text(
        "recipe.yaml", BASE + "name: {1: a, b: c, null: d}\n", "recipe.yaml: name: ", "Fix:"
    ),
    "half a character in YAML": text("recipe.yaml", BASE + 'name: "\\ud800"\n', "recipe.yaml: ", "Fix:"),
    "a path with a NUL": Row(
        ("data.pairs: a\\x00b", "Fix: correct data.pairs"), {"recipe.yaml": {"data": {"pairs": "a\0b"}}}
    ),
    "a folder as recipe": Row(
        ("folder: cannot be read", "Fix: check the path"), {"folder/x": ""}, ("build", "folder")
    ),
    "--set without =": setting("train.epochs", "--set train.epochs: expected key=value", "for example"),
    "--set of an unknown key": setting(
        "train.epoch=3", "recipe.yaml: train.epoch: unknown key; did you mean 'epochs'?"
    ),
    "--set into a value": setting("name.x=3", "--set name.x=3: 'name' is a value, not a group of options"),
    "--set of no date": setting(
        "train.epochs=2026-13-45", "recipe.yaml: train.epochs: ", 'found "2026-13-45"', "Fix:"
    ),
}
SCORES = {"schema": SCHEMA, "seeds": [0], "comparisons": []}


def run_folder(scores: Content, *says: str, config: str = "name: x\n") -> Row:
    return Row(says, {"run/config.yaml": config, "run/scores.json": scores}, ("report", "run"))


REPORTS: dict[str, Row] = {
    "report of nothing": Row(
        ("folder is no run folder: it has no config.yaml", "Fix: make it with `gentool run"),
        {"folder/x": ""},
        ("report", "folder"),
    ),
    "report without scores": Row(
        ("run has no scores.json", "Fix: finish it"), {"run/config.yaml": "name: x\n"}, ("report", "run")
    ),
    "report of broken scores": run_folder("{", "scores.json is not valid JSON", "Fix: delete it"),
    "report of other scores": run_folder(
        {"schema": "2"}, f"scores.json: expected schema '{SCHEMA}'; found '2'", "Fix:"
    ),
    "report of scores without models": run_folder(
        SCORES, "scores.json: models: Field required", "Fix: delete"
    ),
    "report of scores of another shape": run_folder(
        {**SCORES, "models": {"base": {"seen_query_seen_tool": [1]}}},
        "scores.json: models.base.seen_query_seen_tool: ",
        "Fix: delete",
    ),
    "report of broken options": run_folder(
        {**SCORES, "models": {}}, "config.yaml: train: ", "Fix:", config="train: [1]\n"
    ),
    "report of broken YAML": run_folder(
        {**SCORES, "models": {}}, "config.yaml cannot be read", "Fix:", config="{"
    ),
}

PREDICT = ("predict", "--model", "base", "--tools", "tools.jsonl", "Where?")
MANIFEST = {"identity": {"tool_format": "native", "stage": "select"}}


def model(name: str, *says: str, **files: Content) -> Row:
    """Of the files of the good model ``base``, some spoilt; ``__`` stands for a dot."""
    changed = {f"base/{key.replace('__', '.')}": content for key, content in files.items()}
    return Row(says, changed, (*PREDICT[:2], name, *PREDICT[3:]))


def template(content: Content, *says: str) -> Row:
    options = {"path": "base", "chat_template": "x.jinja"}
    return Row(says, {"x.jinja": content, "recipe.yaml": {"model": options}}, ("preview", "recipe.yaml"))


MODELS: dict[str, Row] = {
    "an empty model folder": Row(
        ("'empty' is no model", "config.json", "Fix: give a folder"), {"empty/x": ""}, model("empty").words
    ),
    "no model": model("absent", "'absent'", "Fix: "),
    "a file as model": model("tools.jsonl", "'tools.jsonl'", "Fix: "),
    "a run folder as model": Row(
        ("run", "Fix: ", "stages"),
        {"run/config.yaml": "name: x\n", "run/stages/gentool/seed-0/select/stage.json": MANIFEST},
        model("run").words,
    ),
    "weights as a pickle only": model(
        "base",
        "'base'",
        "safetensors",
        "Fix: ",
        model__safetensors=None,
        pytorch_model__bin=b"\x80\x04cposix\nsystem\n",
    ),
    "cut weights": model(
        "base", "'base' cannot be loaded", "Fix: ", model__safetensors=lambda good: good[:5000]
    ),
    "weights that are none": model(
        "base", "'base' cannot be loaded", "Fix: ", model__safetensors=b"\xff" * 100
    ),
    "a broken config.json": model("base", "base", "Fix: ", config__json="{"),
    "a config.json of nothing known": model("base", "base", "Fix: ", config__json={"model_type": "none"}),
    "a broken tokenizer": model("base", "'base'", "Fix: ", tokenizer__json="{"),
    "a broken adapter": model("base", "adapter_config.json", "Fix: ", adapter_config__json="{"),
    "an adapter of nothing": model(
        "base", "adapter_config.json", "base_model_name_or_path", "Fix: ", adapter_config__json={}
    ),
    "a broken stage.json": model("base", "base/stage.json", "Fix: ", stage__json="{"),
    "a stage.json of another shape": model("base", "base/stage.json", "Fix: ", stage__json={"identity": 1}),
    "no chat template": model(
        "base",
        "the tokenizer has no chat template",
        "Fix: use the instruct version",
        chat_template__jinja=None,
    ),
    "no template file": template(
        None, "model.chat_template: 'x.jinja' cannot be read", "Fix: give a jinja file"
    ),
    "a template in Latin-1": template(
        "é".encode("latin-1"), "model.chat_template: 'x.jinja' cannot be read", "Fix: "
    ),
    "a template with a syntax error": template(
        "{% for m in messages %}", "the chat template failed: ", "endfor", "Fix: "
    ),
    "a template that ignores tools": template(
        "{{ messages[0].content }}",
        "the chat template ignores `tools`",
        "Fix: set `prompt.tool_format: text`",
    ),
    "a template that loops": template(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "the chat template failed: it ran for more than 0.2 seconds",
        "Fix: ",
    ),
    "a template that writes too much": template(
        "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
        "the chat template failed: it wrote 99,980,001 characters",
        "Fix: ",
    ),
    "a template that reaches out": template(
        "{{ ''.__class__.__mro__[1].__subclasses__() }}", "the chat template failed: ", "unsafe", "Fix: "
    ),
    "no usable tool": Row(
        ("tools.jsonl: expected tools; none of 1 is usable", "no name", "Fix: correct the file"),
        {"tools.jsonl": [tool("")]},
        PREDICT,
    ),
    "half a character in the query": Row(
        ("query", "UTF-8", "Fix: "), words=(*PREDICT[:-1], "Where is \udce9?")
    ),
    "half a character in a date": Row(("--now: ", "Fix: "), words=(*PREDICT, "--now", "\udce9")),
}

ROWS = FILES | RECORDS | TOOLS | RECIPES | REPORTS | MODELS


def write(folder: Path, files: Mapping[str, Content]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content = content(path.read_bytes())
        elif isinstance(content, list):
            content = "".join(json.dumps(line) + "\n" for line in content)
        elif isinstance(content, dict) and name == "recipe.yaml":
            content = yaml.safe_dump(GOOD | content)
        elif isinstance(content, dict):
            content = json.dumps(content)
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


GOOD: dict[str, Any] = {
    "name": "x",
    "data": {"pairs": "pairs.jsonl", "tools": "tools.jsonl"},
    "scenarios": {"k": 3, "embedding": "tfidf"},
    "model": {"random_init": {}},
}


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with its tokenizer."""
    from gentool.config import ModelConfig, RandomInit
    from gentool.models import make_base

    folder = tmp_path_factory.mktemp("base")
    options = RandomInit(hidden_size=16, layers=1, heads=2, key_value_heads=1, vocabulary=400)
    make_base(ModelConfig(random_init=options), ["Where is Oslo?"], 0, folder)
    return folder


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good pairs, tools and recipe, to be spoilt."""
    few = data.TOOLS.read_text(encoding="utf-8").splitlines(keepends=True)[::4]
    write(tmp_path, {"pairs.jsonl": [pair()], "tools.jsonl": "".join(few), "recipe.yaml": GOOD})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gentool.prompting.renderer.TEMPLATE_SECONDS", 0.2)
    return tmp_path


def run(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["gentool", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_good_input_is_taken(workplace: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the rows spoil is good before."""
    shutil.copytree(base, workplace / "base")
    assert run(("check", "pairs.jsonl", "--tools", "tools.jsonl", "--embedding", "tfidf"), monkeypatch) == 0
    assert run(("preview", "recipe.yaml", "--set", "model={path: base}"), monkeypatch) == 0
    assert run((*PREDICT, "--max-new-tokens", "1"), monkeypatch) == 2, "too many tools for its context"
    write(workplace, {"tools.jsonl": [tool()]})
    assert run((*PREDICT, "--max-new-tokens", "1"), monkeypatch) == 0


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_bad_input_gives_one_message_and_exit_code_2(
    row: Row,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if row in MODELS.values():
        shutil.copytree(request.getfixturevalue("base"), workplace / "base")
    write(workplace, row.files)
    before = sorted(workplace.rglob("*"))
    code = run(row.words, monkeypatch)
    printed = capsys.readouterr().err
    print(printed[:600])
    assert code == 2
    assert printed.count("error: ") == 1 and "Traceback" not in printed
    for part in row.says:
        assert part in printed
    assert len(printed) < 6000
    after = [p for p in sorted(workplace.rglob("*")) if not p.is_relative_to(workplace / "runs")]
    assert after == before, "what was there is there, and nothing else"
    assert {p.name for p in (workplace / "runs").rglob("*") if p.is_file()} <= {".lock"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("aliases that grow", "an alias"),
        ("half a character as a key", "Fix: "),
        ("import: a picture", "expected JSON"),
    ],
)
def test_bad_input_in_a_process_of_its_own(name: str, says: str, workplace: Path) -> None:
    """As the rows above, with the real streams and the real exit code."""
    row = ROWS[name]
    write(workplace, row.files)
    ended = subprocess.run([sys.executable, "-m", "gentool", *row.words], capture_output=True, timeout=120)
    assert ended.returncode == 2 and not ended.stdout
    printed = ended.stderr.decode("utf-8")
    assert printed.startswith("error: ") and says in printed and "Traceback" not in printed


def test_a_message_holds_no_control_characters(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal would obey them."""
    hostile = "\x1b]0;title\x07\x9b2J[bold]x[/bold]"
    write(workplace, {"pairs.jsonl": [{**pair(), hostile: hostile}]})
    assert run(("build", "recipe.yaml"), monkeypatch) == 2
    printed = capsys.readouterr().err
    assert "\\x1b]0;title\\x07\\x9b2J[bold]x[/bold]" in printed
    assert not [c for c in printed if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160]


def test_nothing_in_a_recipe_is_executed(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tag in (
        "!!python/object/apply:os.mkdir [made]",
        "!!python/object/new:os.mkdir [made]",
        "!!python/name:os.mkdir",
    ):
        write(workplace, {"recipe.yaml": f"name: {tag}\n"})
        assert run(("build", "recipe.yaml"), monkeypatch) == 2
        assert run(("build", "recipe.yaml", "--set", f"name={tag}"), monkeypatch) == 2
    assert not (workplace / "made").exists()


def test_no_reference_is_fetched(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("socket.socket.connect", lambda *address: asked.append(address))
    monkeypatch.setattr("urllib.request.urlopen", lambda *address, **_: asked.append(address))
    write(workplace, ROWS["a reference to the network"].files)
    assert run(("build", "recipe.yaml"), monkeypatch) == 2
    assert run(("import", "tools.jsonl", "--out", "made"), monkeypatch) == 0, "rejected, and written down"
    assert "leads nowhere" in (workplace / "made/rejected.jsonl").read_text(encoding="utf-8")
    assert not asked
