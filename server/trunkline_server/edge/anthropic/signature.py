"""What a provider wants back unchanged travels as the signature of a thought, whoever the provider is."""

from __future__ import annotations

from base64 import b64decode, b64encode

from google.protobuf.message import DecodeError

from trunkline.v1 import content_pb2
from trunkline_server.core.errors import invalid


def sign(state: content_pb2.ProviderState) -> str:
    return b64encode(state.SerializeToString()).decode()


def unsign(signature: str, path: str) -> content_pb2.ProviderState:
    """Raises VALIDATION for a signature that was not made here."""
    try:
        return content_pb2.ProviderState.FromString(b64decode(signature, validate=True))
    except (ValueError, DecodeError):
        raise invalid(path, "is not a signature of this gateway") from None
