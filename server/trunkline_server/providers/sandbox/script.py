"""What the sandbox plays: a script is data, a model is the name of one, and a caller may rewrite any line of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

import msgspec

from trunkline_server.providers.sandbox.refusal import Refusal

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Told: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Pause: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]
Models: TypeAlias = Mapping[str, Mapping[str, object]]
Status: TypeAlias = Annotated[int, msgspec.Meta(ge=200, le=599)]
HeaderText: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[ -~]{0,2000}\Z")]


class ToolCall(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A tool call to make; `arguments` are an object, or a text that goes out as it is."""

    name: str
    arguments: dict[str, object] | str = ""


class UsageTold(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Token counts to report in place of the counted ones."""

    input_tokens: Told | None = None
    output_tokens: Told | None = None
    cached_input_tokens: Told = 0
    reasoning_output_tokens: Told | None = None


class Fault(NamedTuple):
    """What breaks a stream, and after how many words."""

    kind: str
    after: float


class Script(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How one call goes. Times in milliseconds; `after` counts the words of one candidate."""

    answer: Literal["echo", "lorem", "count", "call", "json", "json_wrong", "json_wrong_once"] = "echo"
    tokens: Count | None = None
    text: str | None = None
    json: object = msgspec.UNSET
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    usage: UsageTold | None = UsageTold()

    polls: Count = 0

    chunk: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    head_ms: Pause = 0
    first_token_ms: Pause = 0
    pace_ms: Pause = 0

    times: Count = 0
    key: Annotated[str, msgspec.Meta(max_length=200)] = ""

    unreachable: bool = False
    status: Status = 200
    code: str = ""
    retry_after: HeaderText | None = None
    redirect: HeaderText | None = None
    malformed: Literal["json", "types", "html", "utf8", "empty"] | None = None
    stall_after: Count | None = None
    cut_after: Count | None = None
    reset_after: Count | None = None
    error_in_stream: Count | None = None
    endless: bool = False
    big_body: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)] = 0

    @property
    def fails(self) -> bool:
        """Whether the answer is another than 200."""
        return self.status != 200 or self.redirect is not None

    @property
    def fault(self) -> Fault:
        """The first of the breaks that are scripted; without one it never comes."""
        due = [(getattr(self, kind), kind) for kind in _BREAKS]
        after, kind = min(((at, kind) for at, kind in due if at is not None), default=(math.inf, ""))
        return Fault(kind, after)


_BREAKS: Final = ("stall_after", "cut_after", "reset_after", "error_in_stream")
_TROUBLES: Final = (
    *("unreachable", "status", "code", "retry_after", "redirect", "malformed", "endless", "big_body", "head_ms"),
    *_BREAKS,
)
_WELL: Final = {trouble: getattr(Script(), trouble) for trouble in _TROUBLES}

MODELS: Final[Models] = {
    "echo": {},
    "free": {},
    "count": {"answer": "count"},
    "lorem": {"answer": "lorem"},
    "slow": {"first_token_ms": 2000, "pace_ms": 200},
    "think": {"reasoning": "I should say what I hear."},
    "refuse": {"refusal": "I cannot help with that."},
    "tools": {"answer": "call"},
    "json": {"answer": "json"},
    "json-wrong": {"answer": "json_wrong"},
    "json-wrong-once": {"answer": "json_wrong_once"},
    "flaky": {"status": 500, "times": 1},
    "down": {"status": 500},
    "throttled": {"status": 429, "retry_after": "1"},
    "overloaded": {"status": 529},
    "cut": {"cut_after": 3, "answer": "lorem"},
    "stall": {"stall_after": 3, "answer": "lorem"},
    "broken": {"malformed": "json"},
    "speak": {},
    "listen": {},
    "picture": {},
    "film": {"polls": 2},
}


def script_of(model: str, lines: Mapping[str, object], models: Models = MODELS) -> Script:
    """The model's script with the caller's lines put over it. Raises Refusal."""
    if model not in models:
        raise Refusal(404, "model_not_found", f"the model {model!r} does not exist")
    try:
        return msgspec.convert({**models[model], **lines}, Script)
    except msgspec.ValidationError as error:
        raise Refusal(400, "invalid_script", f"script: {error}") from error


def healed(script: Script) -> Script:
    """The same script without its troubles."""
    return msgspec.structs.replace(script, **_WELL)
