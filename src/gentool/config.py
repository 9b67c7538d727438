"""One YAML file = one tree of these models; ``recipe.py`` reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gentool.data import NAMED
from gentool.jsonl import GenToolError
from gentool.records import Group, Way

Arm = Literal["sft", "no_ranking", "gentool"]
ModelKey = Literal["base", "sft", "no_ranking", "gentool"]
Schedule = Literal["two_pass", "one_output", "mixed"]
StageName = Literal["rank", "select", "joint", "mixed"]
TrainSet = Literal["zero", "one", "strong"]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class ConfigError(GenToolError):
    """A configuration that cannot be used; names the file, the key and the fix."""


class Options(BaseModel):
    """Base of all option groups."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MixOptions(Options):
    """A file of the user's own conversations, trained on beside GenTool's samples."""

    path: str = Field(description="JSONL in TRL's conversational format, with `tools` or without")
    weight: Annotated[float, Field(ge=0)] = Field(0.1, description="assistant turns for each GenTool sample")
    held_out: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="share of the conversations kept to measure retention"
    )


class DataConfig(Options):
    """What to build from. ``data: gentool-open`` is short for both files of the open dataset, which comes with GenTool;
    ``package`` stands for a small part of it, for demos; ``procedural`` for made-up pairs, for experiments.
    """

    pairs: str | None = Field(
        None,
        description="JSONL of ToolPairs with graded queries, `gentool-open`, `procedural` or `package`; null: those "
        "that `synthesis` makes, else `package`",
    )
    tools: str | list[str] | None = Field(
        "package",
        description="JSONL of stand-alone tools, for distractors; or a list of such files; `catalog`: the tools of "
        "`synthesis`",
    )
    mix: list[MixOptions] = Field(default=[], description="the user's own chat or tool data")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"pairs": given, "tools": given} if isinstance(given, str) and given in NAMED else given

    @property
    def tool_files(self) -> list[str]:
        """The files of ``tools``, as they are named."""
        return [self.tools] if isinstance(self.tools, str) else self.tools or []


class ScenarioConfig(Options):
    """Tool sets and the split."""

    k: Annotated[int, Field(ge=3, le=100)] = Field(5, description="external tools in a set")
    embedding: str = Field("auto", description="auto, tfidf, or a sentence-transformers model")
    held_out: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.25, description="share of a T pair's queries kept for test"
    )
    pool_test_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="share of stand-alone tools without a `split` that go to test"
    )
    train_sets: list[TrainSet] = Field(
        default=["zero", "one", "strong"],
        min_length=1,
        description="tool sets that pairs of T are trained in: none of its tools, the sibling of the best, both",
    )
    train_pairs: Positive | None = Field(None, description="pairs of T to train on; null: all")
    train_queries: Positive | None = Field(None, description="queries of a pair of T to train on; null: all")
    distractors: Literal["near", "random"] = Field(
        "near", description="of the training sets: the most similar tools, or any; tests have near ones"
    )
    groups: dict[Group, Annotated[float, Field(ge=0)]] = Field(
        default={"T": 0.5, "A": 0.17, "B": 0.17, "U": 0.16},
        description="shares for pairs whose `group` is not given",
    )

    @model_validator(mode="after")
    def _something_trained(self) -> ScenarioConfig:
        if not self.groups.get("T"):
            raise ValueError("groups: the share of T must be above 0, else nothing is trained on")
        return self


class RandomInit(Options):
    """A small model and tokenizer made from nothing, for demos and tests."""

    architecture: Literal["qwen3", "llama", "mistral"] = Field("qwen3", description="its family")
    hidden_size: Positive = Field(128, description="a multiple of 2 x heads")
    layers: Positive = Field(4, description="transformer blocks")
    heads: Positive = Field(4, description="attention heads; a multiple of key_value_heads")
    key_value_heads: Positive = Field(2, description="heads of keys and values")
    vocabulary: Annotated[int, Field(ge=300)] = Field(
        2048, description="the most tokens its tokenizer may have"
    )
    context: Positive = Field(8192, description="longest sequence, in tokens")

    @model_validator(mode="after")
    def _heads_fit(self) -> RandomInit:
        if self.hidden_size % (2 * self.heads) or self.heads % self.key_value_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of 2 x heads ({self.heads}), and heads one of "
                f"key_value_heads ({self.key_value_heads})"
            )
        return self


class ModelConfig(Options):
    """The model to start from: a hub name or folder, or ``random_init``. Neither: nothing can be trained."""

    path: str | None = Field(
        None, description="a hub name, a folder, or `gentool-nano`, a small model that comes along"
    )
    revision: Annotated[str, Field(pattern=r"^[^@\s]+$")] | None = Field(
        None, description="branch, tag or commit of a hub name"
    )
    random_init: RandomInit | None = Field(
        None, description="a small model made from nothing, instead of `path`"
    )
    shape: dict[str, Any] | None = Field(
        None, description="the model's config.json, for `train --dry-run --random-init` without the model"
    )
    chat_template: str | None = Field(None, description="jinja file instead of the tokenizer's own")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="of the weights; auto: float32 to train all of them and on CPU, else bfloat16"
    )

    @model_validator(mode="after")
    def _one_source(self) -> ModelConfig:
        if self.path is not None and self.random_init is not None:
            raise ValueError("give exactly one of `path` and `random_init`")
        if self.revision is not None and (self.path is None or Path(self.path).is_dir()):
            raise ValueError("revision: only a hub name has one. Fix: remove it, or give a hub name")
        return self

    @property
    def is_given(self) -> bool:
        """Whether there is a model to start from."""
        return self.path is not None or self.random_init is not None


class PromptConfig(Options):
    """How prompts are rendered."""

    tool_format: Literal["native", "text"] = Field(
        "native", description="text: for templates that ignore tools or drop content beside calls"
    )
    fallback: Literal["tool", "text"] = Field(
        "tool", description="an answer without a tool: a call of generate_response, or plain text"
    )
    fallback_text: Annotated[str, Field(min_length=1)] = Field(
        "None of the tools that I have fits this request.", description="trained on if fallback is text"
    )


class LoraOptions(Options):
    """Low-rank adapters (peft)."""

    rank: Positive = Field(16, description="rank of what is added to each weight matrix")
    alpha: Positive = Field(32, description="what is added counts alpha / rank times")
    target_modules: str | list[str] = Field(
        "all-linear", description="names of the layers adapted; all-linear: all but the output layer"
    )


class StageOptions(Options):
    """What may differ from stage to stage; what is not given is taken from ``train``."""

    epochs: Annotated[float, Field(gt=0)] | None = Field(None, description="null: `train.epochs`")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(None, description="null: that of the arm")


class BudgetOptions(Options):
    """What every arm processes, instead of what its epochs come to."""

    tokens: Positive = Field(description="of all samples, shared ones counted for each")
    steps: Positive = Field(description="optimizer steps, over all stages of an arm")


class TrainConfig(Options):
    """Both stages of all arms. Batch sizes count samples; a step is one optimizer update."""

    arms: list[Arm] = Field(default=["sft", "gentool"], description="what is trained, each for every seed")
    schedule: Schedule = Field("two_pass", description="of the arm `gentool`")
    method: Literal["full", "lora", "qlora"] = Field(
        "full", description="all weights; an adapter; an adapter on a base in 4 bits"
    )
    lora: LoraOptions = LoraOptions()
    epochs: Annotated[float, Field(gt=0)] = Field(3, description="rounds through the samples, in each stage")
    learning_rate: Annotated[float, Field(gt=0)] = Field(2e-5, description="the highest, after the warm-up")
    learning_rates: dict[Arm, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="of single arms, instead of `train.learning_rate`"
    )
    stages: dict[StageName, StageOptions] = Field(default={}, description="of the arm `gentool`")
    replay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="two_pass: share of rank samples replayed in the select stage"
    )
    equal_budget: bool = Field(
        True, description="smaller arms repeat their data to the tokens and steps of `gentool`"
    )
    budget: BudgetOptions | None = Field(
        None, description="tokens and steps of every arm; null: those of the epochs of `gentool`"
    )
    max_declined: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0,
        description="most samples of an epoch that no shown tool serves, as a share; which ones is drawn anew for each "
        "epoch; 0: calls only",
    )
    mask_names: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="share of the tool lists whose tools get names without meaning, as in Hammer"
    )
    preference: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="where both tools of a pair are shown: weight of a loss that prefers the better one's call, "
        "in tokens of an answer",
    )
    batch_size: Positive = Field(16, description="samples in an optimizer step, over all processes")
    micro_batch_size: Positive = Field(4, description="samples in memory at once, per device")
    micro_batch_tokens: Positive | None = Field(
        None,
        description="with shared prefixes: unique tokens in memory at once; by default of as many samples",
    )
    batches: Literal["grouped", "shuffled"] = Field(
        "grouped", description="grouped: samples that show the same tool list go into one step"
    )
    group_size: Positive | None = Field(
        None, description="grouped: most samples of a list in a row, so that a step has more lists; null: all"
    )
    tool_order: Literal["list", "sample"] = Field(
        "list", description="a new order of tools each epoch for each list, or for each sample"
    )
    shared_prefix: Literal["auto", "on", "off"] = Field(
        "auto", description="compute what samples begin with in common once; auto: where it is exact and pays"
    )
    shared_prefix_attention: Literal["auto", "sdpa", "flash", "flex"] = Field(
        "auto", description="how, with shared prefixes; auto: flash or flex on CUDA, sdpa elsewhere"
    )
    max_length: Positive = Field(8192, description="tokens; a longer sample is an error")
    drop_long: bool = Field(False, description="leave longer samples out, and write down which")
    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(0.03, description="share of the steps")
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        "cosine", description="how the learning rate goes on after the warm-up"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="of AdamW")
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(
        1.0, description="a longer gradient is scaled down to it"
    )
    bf16: bool | None = Field(None, description="mixed precision; by default on CUDA only")
    gradient_checkpointing: bool = Field(False, description="less memory for more time")
    save_steps: Positive = Field(100, description="steps from one checkpoint to the next")
    log_steps: Positive = Field(5, description="steps from one entry of log.jsonl to the next")

    def stage(self, arm: Arm, name: StageName) -> tuple[float, float]:
        """Epochs and learning rate of a stage of an arm; ``stages`` are those of ``gentool``."""
        own = self.stages.get(name, StageOptions()) if arm == "gentool" else StageOptions()
        rate = own.learning_rate or self.learning_rates.get(arm) or self.learning_rate
        return own.epochs or self.epochs, rate


OPENAI_URL = "https://api.openai.com/v1"


class ServerConfig(Options):
    """A model behind an OpenAI-compatible server. Keys come from the environment only."""

    model: Annotated[str, Field(min_length=1)] = Field(description="name of the model at the server")
    base_url: str = Field(OPENAI_URL, description="address of the API; most end in /v1")
    api_key_env: str | None = Field(
        None,
        description="environment variable that holds the key; OPENAI_API_KEY at OpenAI, elsewhere none by default",
    )
    tool_format: Literal["native", "text"] = Field(
        "native", description="text: for servers that take no tools; written into the message instead"
    )
    concurrency: Positive = Field(8, description="requests at once; fewer while the server refuses as many")
    timeout: Annotated[float, Field(gt=0)] = Field(120.0, description="seconds a request may take")
    max_retries: Annotated[int, Field(ge=0)] = Field(
        6, description="of failures that may pass, such as 429 and 5xx"
    )
    temperature: Annotated[float, Field(ge=0)] | None = Field(0.0, description="null: not sent")
    extra: dict[str, Any] = Field(default={}, description="further fields of the request's body")

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url.strip())
            whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise ValueError("expected an address such as http://127.0.0.1:8000/v1")
        # The address is written to config.yaml and into predictions. It is not repeated here.
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError(
                "expected an address without user, password and query. Fix: put the key into an environment variable "
                "and name it in `api_key_env`"
            )
        return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"

    @field_validator("api_key_env")
    @classmethod
    def _name_not_key(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise ValueError(
                "expected the name of an environment variable (capitals, digits and _), not the key itself. "
                "Fix: export the key as a variable, for example OPENROUTER_API_KEY, and write that name here"
            )
        return name

    @field_validator("extra")
    @classmethod
    def _further(cls, extra: dict[str, Any]) -> dict[str, Any]:
        own = {"model", "messages", "tools", "tool_choice", "temperature", "stream", "n"} & set(extra)
        if own:
            raise ValueError(
                f"{sorted(own)} cannot be set here. Fix: remove them; `temperature` is an option"
            )
        return extra

    @property
    def is_openai(self) -> bool:
        return urlsplit(self.base_url).hostname == urlsplit(OPENAI_URL).hostname

    @property
    def key_name(self) -> str | None:
        """The environment variable of the key. OpenAI's own key is sent to OpenAI only, unless it is asked for."""
        return self.api_key_env or ("OPENAI_API_KEY" if self.is_openai else None)


RowName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class EvaluateConfig(Options):
    """Which models are asked what, and how it is counted."""

    models: list[ModelKey] = Field(default=["base", "sft", "gentool"], description="rows of the table")
    servers: dict[RowName, ServerConfig] = Field(
        default={}, description="further rows of the table: models behind servers"
    )
    max_prompts: Positive | None = Field(None, description="prompts a model, over all scenarios")
    rank: bool = Field(True, description="ask for rankings too")
    rank_by: Literal["generate", "score"] = Field(
        "generate",
        description="score: rankings by the likelihood of each tool as the first, without generating",
    )
    shared_prefix: Literal["auto", "off"] = Field(
        "auto", description="compute what prompts begin with in common once; auto: where it is exact and pays"
    )
    batch_size: Positive = Field(16, description="prompts asked at once")
    max_new_tokens: Positive = Field(256, description="tokens that an answer may have")
    bootstrap: Positive = Field(2000, description="resamples for the intervals")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(0.95, description="coverage of the intervals")

    @model_validator(mode="after")
    def _rows_differ(self) -> EvaluateConfig:
        names = [*get_args(ModelKey), *self.servers]
        # Rows are folders, and some file systems do not tell capitals from small letters.
        twice = sorted(n for n in self.servers if [m.casefold() for m in names].count(n.casefold()) > 1)
        if twice:
            raise ValueError(
                f"servers: the row name {twice[0]!r} is taken; {', '.join(get_args(ModelKey))} are the models trained "
                "here. Fix: choose another"
            )
        return self


class Prices(Options):
    """What a model costs, in US dollars for a million tokens."""

    input: Annotated[float, Field(ge=0)] = Field(description="prompt tokens")
    output: Annotated[float, Field(ge=0)] = Field(description="completion tokens, reasoning included")


class SynthesisConfig(Options):
    """From the user's own tools to tool pairs, with a teacher."""

    tools: str | list[str] = Field(description="catalogue files: whatever `gentool import` reads or writes")
    use_cases: str | None = Field(None, description="JSONL of UseCases: example queries of these tools")
    teacher: Literal["rules"] | ServerConfig = Field(
        description="rules (offline, plain), or a model behind a server"
    )
    judge: ServerConfig | None = Field(None, description="another model to grade; null: the teacher")
    language: str = Field("English", description="of the queries")
    domain: str | None = Field(None, description="what the tools are for, told to the teacher")
    max_tools: Positive | None = Field(None, description="tools to use, drawn by the seed; null: all")
    pairs_per_tool: Positive = Field(1, description="pairs made of one tool, in different ways")
    ways: list[Way] = Field(
        default=["missing_capability", "fewer_filters", "coarser_result", "vaguer_description"],
        min_length=1,
        description="in what way derived tools are weaker, in turn",
    )
    upgrades: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2, description="share of pairs where a stronger version is made instead of a weaker tool"
    )
    queries: Annotated[int, Field(ge=2, le=50)] = Field(10, description="queries of a pair, both directions")
    seed_queries: Annotated[int, Field(ge=0, le=10)] = Field(
        2, description="example queries made for a tool that has none"
    )
    batch_size: Positive = Field(10, description="queries for which calls or grades are asked at once")
    at_once: Positive = Field(64, description="pairs under way at once")
    require_review: bool = Field(False, description="train only on what a person accepted")
    prompts: str | None = Field(None, description="folder with jinja files that replace GenTool's own")
    prices: dict[str, Prices] = Field(
        default={}, description="by model name; else those of genai-prices, where installed"
    )
    max_cost: Annotated[float, Field(gt=0)] | None = Field(
        None, description="US dollars at which to stop; answers from the cache are free"
    )
    max_requests: Positive | None = Field(None, description="requests after which to stop")


class Config(Options):
    """A run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = Field(
        description="of the run and its folder"
    )
    seed: Seed = Field(0, description="of the build: groups, held-out queries, orders")
    seeds: list[Seed] = Field(default=[0], min_length=1, description="of training, one model each")
    synthesis: SynthesisConfig | None = Field(None, description="how to make pairs; null: they are given")
    data: DataConfig = DataConfig()
    scenarios: ScenarioConfig = ScenarioConfig()
    model: ModelConfig = ModelConfig()
    prompt: PromptConfig = PromptConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        unknown = set(self.evaluate.models) - {"base"} - set(self.train.arms)
        if unknown:
            raise ValueError(f"evaluate.models names {sorted(unknown)}, which train.arms does not train")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ")
        if self.synthesis is None and "catalog" in self.data.tool_files:
            raise ValueError("data.tools: `catalog` stands for the tools of `synthesis`, which is not given")
        if self.prompt.fallback == "text" and self.train.schedule == "one_output":
            raise ValueError(
                "prompt.fallback: text leaves no call after a ranking; schedule one_output needs fallback: tool"
            )
        return self
