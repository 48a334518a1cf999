"""Errors in Connect's form, with the same details that gRPC gets."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
from google.protobuf import json_format

from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.status import MESSAGE_CHARS_MAX, to_status
from trunkline_server.edge.status import code_of


def describe(error: TrunklineError, request_id: str) -> dict[str, Any]:
    """`value` is the detail in binary, `debug` the same for people."""
    details = [
        {
            "type": packed.TypeName(),
            "value": b64encode(packed.value).rstrip(b"=").decode(),
            "debug": {key: value for key, value in json_format.MessageToDict(packed).items() if key != "@type"},
        }
        for packed in to_status(error, request_id).details
    ]
    return {"code": code_of(error), "message": error.message[:MESSAGE_CHARS_MAX], "details": details}


def spell(error: TrunklineError, request_id: str) -> bytes:
    return orjson.dumps(describe(error, request_id))
