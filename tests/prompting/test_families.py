"""Which template families work, and how: one table, checked against the templates and against the documentation."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gentool.prompting.renderer import PromptError, Renderer
from gentool.records import GENERATE_RESPONSE, GENERATE_RESPONSE_TOOL, Function, Tool, ToolCall
from tests.prompting.conftest import TRL_TEMPLATES, make_tokenizer

PAGE = Path(__file__).parents[2] / "docs" / "bring-your-own.md"

# What a cell says -> what the message says.
GIST = {
    "ignores tools": "ignores `tools`",
    "drops text beside a call": "drops the assistant's content beside a tool call",
    "calls not read": "cannot be read back|drops or changes tool calls",
    "rankings not read": "a ranking as this template writes it cannot be read back",
    "opens a thinking block": "differently once the answer follows: expected '<think>",
    "takes no plain text": "loses the user's text",
}


class Row(NamedTuple):
    """What works with a family: ``native`` and ``text`` are the tool formats; text is alike for all schedules."""

    family: str
    templates: tuple[str, ...]
    native_two_pass: str
    native_one_output: str
    text: str

    @property
    def documented(self) -> str:
        """The row as the documentation has it."""
        named = ", ".join(f"`{t}`" for t in self.templates)
        return (
            f"| {self.family} | {named} | {self.native_two_pass} | {self.native_one_output} | {self.text} |"
        )


def _row(family: str, templates: str, two_pass: str, one_output: str, text: str = "yes") -> Row:
    return Row(family, tuple(templates.split()), two_pass, one_output, text)


def _same(family: str, templates: str, native: str, text: str = "yes") -> Row:
    return _row(family, templates, native, native, text)


OWN = ("mistral", "mistral_named", "phi4", "phi4_mini", "plain")
"""Not in TRL's wheel: written anew for tests (``plain``: of models made by ``random_init``)."""

ROWS = [
    _same("Qwen2.5", "qwen2_5", "yes"),
    _same("Qwen3", "qwen3 qwen3_instruct_2507", "yes"),
    _row("Llama 3.1, 3.2", "llama3_1 llama3_2", "yes", "drops text beside a call"),
    _same("Llama 3.0", "llama3", "ignores tools"),
    _row("Mistral v0.3", "mistral", "yes", "drops text beside a call"),
    _same("Mistral, later", "mistral_named", "yes"),
    _same("Phi-3, Phi-3.5", "phi3 phi3_5", "ignores tools"),
    _same("Phi-4", "phi4 phi4_mini", "ignores tools"),
    _same("Gemma 1 to 3", "gemma gemma3", "ignores tools"),
    _same("Gemma 4", "gemma4 gemma4_v2 gemma4_v3 gemma4_v4 gemma4_v5", "calls not read"),
    _same("GLM-4-MoE", "glm4moe", "calls not read"),
    _same("Cohere", "cohere", "ignores tools"),
    _same("Cohere2", "cohere2", "ignores tools", "rankings not read"),
    _same("GPT-OSS", "gptoss", "rankings not read", "rankings not read"),
    _same("DeepSeek R1 distills", "deepseek_r1_distill", "ignores tools", "opens a thinking block"),
    _same("DeepSeek V3", "deepseekv3", "ignores tools", "opens a thinking block"),
    _same("made by `random_init`", "plain", "yes"),
]

# Templates of models that are refused for their layers or their images, so that they are not documented.
REFUSED_MODELS = [
    _same("LFM2", "lfm2 lfm2_v2 lfm2_2_5 lfm2_2_5_v2 lfm2_2_5_vl", "calls not read"),
    _same("Qwen3.5 and on", "qwen3_5_nothink qwen3_5_think qwen3_6 qwen3_8", "calls not read"),
    _same(
        "Nemotron 3",
        "nemotron_3_nano nemotron_3_super nemotron_3_ultra nemotron_3_5_lightning",
        "calls not read",
    ),
    _same("Qwen2.5-VL", "qwen2_5_vl", "ignores tools"),
    _same("Qwen3-VL", "qwen3_vl", "yes"),
    _same("images", "idefics3 llava_next smolvlm", "ignores tools", "takes no plain text"),
    _same("diffusion", "diffusion_gemma", "calls not read"),
    _same("Muse Glimmer", "muse_glimmer", "rankings not read", "rankings not read"),
]

# TRL's variants for training change how its own loss masks are made; ours come from the rendered prompt.
TRAINING = [
    "llama3_training", "qwen2_5_training", "qwen3_training", "qwen3_instruct_2507_training", "phi3_training",
    "phi3_5_training", "gemma_training", "gemma3_training",
]  # fmt: skip

CELLS = [
    (template, form, joint, cell)
    for row in ROWS + REFUSED_MODELS
    for template in (*row.templates, *(f"{t}_training" for t in row.templates if f"{t}_training" in TRAINING))
    for form, joint, cell in (
        ("native", False, row.native_two_pass),
        ("native", True, row.native_one_output),
        ("text", False, row.text),
        ("text", True, row.text),
    )
]

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    Tool(function=Function(name="find_trains", description="Trains to a city.", parameters=SCHEMA)),
    GENERATE_RESPONSE_TOOL,
    Tool(function=Function(name="get_weather", description="Weather of a city.", parameters=SCHEMA)),
]
RANKING = ("get_weather", "find_trains", GENERATE_RESPONSE)
CALL = ToolCall.of("get_weather", {"city": "Zürich > Basel"})


@pytest.mark.parametrize(("template", "form", "joint", "cell"), CELLS)
def test_the_table_is_true(template: str, form: Any, joint: bool, cell: str) -> None:
    tokenizer = make_tokenizer(template)
    if cell != "yes":
        with pytest.raises(PromptError, match=GIST[cell]) as caught:
            Renderer(tokenizer, form, joint)
        proposed = "prompt.tool_format: text" in str(caught.value)
        assert "Fix: " in str(caught.value) and (form == "native" or not proposed)
        return
    made = Renderer(tokenizer, form, joint)
    for task in ("joint",) if joint else ("rank", "select"):
        rendered = made.training("Rain today?", None, TOOLS, task, RANKING, CALL)  # type: ignore[arg-type]
        assert rendered.ids[: rendered.start] == made.prompt("Rain today?", None, TOOLS, task)  # type: ignore[arg-type]
        text, finished = made.decode(rendered.ids[rendered.start :])
        parsed = made.parse(task, text, [t.name for t in TOOLS], finished)  # type: ignore[arg-type]
        assert parsed.error is None
        assert parsed.ranking == (None if task == "select" else RANKING)
        assert parsed.tool_call == (None if task == "rank" else CALL)


def test_where_native_tools_do_not_work_the_message_names_what_does() -> None:
    for row in ROWS:
        if row.native_two_pass != "yes" and row.text == "yes":
            with pytest.raises(PromptError, match=r"Fix: set `prompt\.tool_format: text`"):
                Renderer(make_tokenizer(row.templates[0]))


def test_every_template_of_the_wheel_is_in_the_table() -> None:
    if version("trl") != "1.16.0":
        pytest.skip("another TRL may carry other templates")
    wheel = {path.stem for path in TRL_TEMPLATES.glob("*.jinja")}
    tested = {template for template, *_ in CELLS} - set(OWN)
    others = {name for name in wheel if name.endswith("_training")} - set(TRAINING)
    assert tested == wheel - others


def test_the_documentation_has_this_table() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = lines.index("| family | templates | `two_pass` | `one_output` | with `tool_format: text` |")
    assert lines[begin + 2 : begin + 2 + len(ROWS)] == [row.documented for row in ROWS]
    assert not lines[begin + 2 + len(ROWS)].startswith("|")
