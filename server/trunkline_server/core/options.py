"""Which fields of a provider's own a caller may set: not addresses, credentials, or what the gateway says or bills.

A name is compared without its case, `_` and `-`, because providers read `maxTokens` and `max_tokens` alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline_server.core.errors import TrunklineError, invalid
from trunkline_server.core.json_text import check_object

_PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DESTINATION: Final = """
    api_base base_url base_path url uri endpoint host path api_version anthropic_version deployment azure_endpoint
    region proxy proxies http_client transport headers extra_headers default_headers extra_query default_query
    extra_body extra_params
"""
_CREDENTIALS: Final = """
    api_key key token access_token auth authorization bearer credentials secret password x_api_key x_goog_api_key
    organization project
"""
_SAID_BY_THE_GATEWAY: Final = """
    model models fallbacks messages contents content input prompt system system_instruction instructions history
    stream stream_options tools tool_choice tool_config functions function_call response_format
    previous_response_id conversation
"""
_BILLED: Final = """
    max_tokens max_completion_tokens max_output_tokens max_new_tokens max_tokens_to_sample max_gen_len num_predict
    n best_of candidate_count num_generations service_tier speed inference_geo
"""


def plain(name: str) -> str:
    """As providers read it."""
    return name.lower().replace("_", "").replace("-", "")


_DENIED: Final = frozenset(map(plain, f"{_DESTINATION} {_CREDENTIALS} {_SAID_BY_THE_GATEWAY} {_BILLED}".split()))
_NESTED: Final[Mapping[str, frozenset[str]]] = {
    "generationconfig": frozenset(map(plain, _BILLED.split())),
    "options": frozenset(map(plain, _BILLED.split())),
}
"""Objects in which providers keep their limits."""


def check_options(options: Mapping[str, str], path: str) -> None:
    """Raises VALIDATION at the first field that may not be set."""
    for provider, text in options.items():
        if not _PROVIDER.fullmatch(provider):
            raise invalid(path, "has a key that is no provider's name")
        place = f"{path}[{provider!r}]"
        fields = check_object(text, place)
        _check_names(fields, _DENIED, place)
        _check_nested(fields, place)


def _check_nested(fields: Mapping[str, object], place: str) -> None:
    for name, value in fields.items():
        if isinstance(value, dict) and plain(name) in _NESTED:
            _check_names(value, _NESTED[plain(name)], f"{place}.{name}")


def _check_names(fields: Mapping[str, object], denied: frozenset[str], place: str) -> None:
    for name in fields:
        if plain(name) in denied:
            raise _denied(place, name)


def _denied(place: str, name: str) -> TrunklineError:
    return invalid(f"{place}.{name}", "cannot be set here: the gateway itself decides or bills it")
