"""What the operator can say about one provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkline_server.core.cancel_billing import CancelBilling


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """Everything has a default. `dialect` is what a server of the operator's own speaks.

    `key_header` carries the key in place of the header that the provider usually wants it in.
    `headers` and `query` go along with every request. `price_list` is how its list of models tells prices.
    """

    enabled: bool = True
    dialect: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    key_header: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    price_list: str = ""
    cancel_billing: CancelBilling | None = None
