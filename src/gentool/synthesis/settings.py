"""What shapes a unit beside its seed, as one hash: a unit of other settings is made anew."""

from __future__ import annotations

from gentool.config import ServerConfig, SynthesisConfig
from gentool.jsonl import content_hash
from gentool.synthesis.templates import Prompts

VERSION = 1
"""To be raised where checks or stages make something else of the same answers of a teacher."""

_SHAPES = {"language", "domain", "queries", "seed_queries", "batch_size", "ways"}
"""Options that shape a unit. Others say which seeds there are, or how fast and how long to work."""


def _model(teacher: ServerConfig | str | None) -> object:
    """What of a server shapes its answers. Where it stands does not: a server may be started elsewhere."""
    if not isinstance(teacher, ServerConfig):
        return teacher
    return [teacher.model, teacher.temperature, teacher.extra]


def settings_hash(config: SynthesisConfig, prompts: Prompts, seed: int) -> str:
    """12 hex digits. ``seed``: that of the rules teacher, which has no prompts."""
    asked = isinstance(config.teacher, ServerConfig)
    return content_hash(
        [
            VERSION,
            config.model_dump(mode="json", include=_SHAPES),
            _model(config.teacher),
            _model(config.judge),
            prompts.hashes if asked else seed,
        ]
    )
