"""Trunkline: one gRPC gateway to every AI provider.

`Trunkline` and `AsyncTrunkline` are the client; the messages and stubs under it live in `trunkline.v1`.
What stands here is loaded when it is asked for, so that whoever wants the messages alone pays for nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trunkline.aio.client import AsyncTrunkline
    from trunkline.answer import Answer, Shaped, ToolCall
    from trunkline.content import assistant, audio, developer, document, image, system, text, user
    from trunkline.errors import (
        AlreadyExists,
        Cancelled,
        CreditInsufficient,
        GatewayFault,
        InvalidRequest,
        LimitReached,
        NotAllowed,
        NotAuthenticated,
        NotFound,
        NotPossible,
        OutputInvalid,
        StillRunning,
        StreamInterrupted,
        TimedOut,
        ToolRoundsSpent,
        TrunklineError,
        Unavailable,
    )
    from trunkline.happening import Finished, Refused, Said, Started, Thought, ToolAsked, ToolRan
    from trunkline.media import Film, Picture, Sound, Transcript
    from trunkline.passages import Hit, Hits, between, entry
    from trunkline.sync.client import Trunkline
    from trunkline.tasks import Classified, Code, Done
    from trunkline.toolbox import ToolError

_HOMES = {
    "trunkline.aio.client": ("AsyncTrunkline",),
    "trunkline.answer": ("Answer", "Shaped", "ToolCall"),
    "trunkline.content": ("assistant", "audio", "developer", "document", "image", "system", "text", "user"),
    "trunkline.errors": (
        "AlreadyExists",
        "Cancelled",
        "CreditInsufficient",
        "GatewayFault",
        "InvalidRequest",
        "LimitReached",
        "NotAllowed",
        "NotAuthenticated",
        "NotFound",
        "NotPossible",
        "OutputInvalid",
        "StillRunning",
        "StreamInterrupted",
        "TimedOut",
        "ToolRoundsSpent",
        "TrunklineError",
        "Unavailable",
    ),
    "trunkline.happening": ("Finished", "Refused", "Said", "Started", "Thought", "ToolAsked", "ToolRan"),
    "trunkline.media": ("Film", "Picture", "Sound", "Transcript"),
    "trunkline.passages": ("Hit", "Hits", "between", "entry"),
    "trunkline.sync.client": ("Trunkline",),
    "trunkline.tasks": ("Classified", "Code", "Done"),
    "trunkline.toolbox": ("ToolError",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AlreadyExists",
    "Answer",
    "AsyncTrunkline",
    "Cancelled",
    "Classified",
    "Code",
    "CreditInsufficient",
    "Done",
    "Film",
    "Finished",
    "GatewayFault",
    "Hit",
    "Hits",
    "InvalidRequest",
    "LimitReached",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotPossible",
    "OutputInvalid",
    "Picture",
    "Refused",
    "Said",
    "Shaped",
    "Sound",
    "Started",
    "StillRunning",
    "StreamInterrupted",
    "Thought",
    "TimedOut",
    "ToolAsked",
    "ToolCall",
    "ToolError",
    "ToolRan",
    "ToolRoundsSpent",
    "Transcript",
    "Trunkline",
    "TrunklineError",
    "Unavailable",
    "assistant",
    "audio",
    "between",
    "developer",
    "document",
    "entry",
    "image",
    "system",
    "text",
    "user",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'trunkline' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
