"""Answers of a fixed form: asked for with a JSON Schema, checked here, mended once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from gentool.jsonl import RecordError, parse_record
from gentool.llm.call import Call, Reply, call_body
from gentool.llm.extract import find_object
from gentool.llm.provenance import Provenance
from gentool.llm.response_format import in_words, response_format
from gentool.llm.retry import OF_THE_CALL, OF_THE_CONTENT
from gentool.llm.session import CallFailed, Session

T = TypeVar("T", bound=BaseModel)

MOST_PROBLEMS = 20
"""Problems of an answer that are shown to the model."""


class BadAnswer(Exception):
    """An answer that cannot be used. ``reason`` begins with what it is: refused, truncated, empty or invalid."""

    def __init__(self, reason: str, answer: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer


@dataclass(frozen=True)
class Answered(Generic[T]):
    """An answer of the right form, and where it comes from."""

    value: T
    provenance: Provenance


async def ask_object(
    session: Session,
    messages: Sequence[Mapping[str, Any]],
    form: type[T],
    *,
    stage: str,
    template: str,
    parents: Sequence[str] = (),
    problems: Callable[[T], list[str]] | None = None,
    sample: int = 0,
    parameters: Mapping[str, Any] | None = None,
) -> Answered[T]:
    """One object of ``form``. ``problems`` says what is wrong with one beyond its form (nothing: an empty list).

    The server is given the form's JSON Schema; if it refuses that, which is remembered for the session, the schema goes
    into the prompt. An answer with problems is shown to the model with them, once, to be mended.
    ``stage``, ``template`` (hash of the prompt's template) and ``parents`` go into the provenance; ``parameters`` into
    the request.

    Raises :class:`BadAnswer`; what :meth:`gentool.llm.session.Session.ask` raises.
    """
    asked = list(messages)
    usage = {"prompt_tokens": 0, "completion_tokens": 0}
    for attempt in (1, 2):
        try:
            call, reply = await _ask(session, Call(asked, None, parameters or {}, sample), form)
        except CallFailed as error:
            if error.failure.code in OF_THE_CONTENT:
                raise BadAnswer(f"refused: {error.failure}") from None
            raise
        usage["prompt_tokens"] += reply.prompt_tokens
        usage["completion_tokens"] += reply.completion_tokens
        answer = _text(reply)
        value, found = _read(form, answer, problems)
        if value is not None and not found:
            body = call_body(session.server, call)
            provenance = Provenance(
                stage=stage,
                model=reply.model or session.server.model,
                parameters=_parameters(body),
                prompt=template,
                call=session.key(call),
                usage=usage,
                attempt=attempt,
                parents=tuple(parents),
            )
            return Answered(value, provenance)
        asked = [
            *messages,
            {"role": "assistant", "content": answer},
            {"role": "user", "content": _mend(found)},
        ]
    raise BadAnswer(f"invalid: {'; '.join(found[:MOST_PROBLEMS])}", answer)


async def _ask(session: Session, call: Call, form: type[BaseModel]) -> tuple[Call, Reply]:
    """The call as it was answered, and the reply."""
    if form not in session.unformatted:
        formatted = Call(
            call.messages, None, {**call.parameters, "response_format": response_format(form)}, call.sample
        )
        try:
            return formatted, await session.ask(formatted, tentative=True)
        except CallFailed as error:
            if error.failure.status not in OF_THE_CALL or error.failure.code in OF_THE_CONTENT:
                raise
    *before, last = call.messages
    said = {**last, "content": f"{last['content']}\n\n{in_words(form)}"}
    plain = Call([*before, said], None, call.parameters, call.sample)
    reply = await session.ask(plain)
    session.unformatted.add(form)  # it was the format that was refused, and not what is asked
    return plain, reply


def _text(reply: Reply) -> str:
    """What the model wrote. Raises :class:`BadAnswer` where that is no answer; asking again would not mend it."""
    answer = reply.content
    refusal = reply.message.get("refusal")
    if isinstance(refusal, str) and refusal:
        raise BadAnswer(f"refused: {refusal[:200]}", refusal)
    if reply.finish_reason == "content_filter":
        raise BadAnswer("refused: by the server's content filter", answer)
    if reply.finish_reason == "length":
        raise BadAnswer(f"truncated: the answer was cut off after {reply.completion_tokens} tokens", answer)
    if not answer.strip():
        raise BadAnswer("empty: the answer has no text")
    return answer


def _read(
    form: type[T], answer: str, problems: Callable[[T], list[str]] | None
) -> tuple[T | None, list[str]]:
    """The object in an answer, and what is wrong with it."""
    try:
        value = parse_record(form, find_object(answer), "answer")
    except RecordError as error:
        return None, str(error).split("\n")
    except ValueError as error:
        return None, [str(error)]
    return value, problems(value) if problems else []


def _mend(problems: Sequence[str]) -> str:
    listed = "\n".join(f"- {problem}" for problem in problems[:MOST_PROBLEMS])
    return (
        f"Your answer cannot be used:\n{listed}\n\nWrite the whole answer again, without these faults: one JSON object "
        "and nothing else."
    )


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for beside the messages; the schema of the answer by its name."""
    kept = {name: value for name, value in body.items() if name not in ("model", "messages", "tools")}
    if "response_format" in kept:
        kept["response_format"] = kept["response_format"]["json_schema"]["name"]
    return kept
