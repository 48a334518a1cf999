"""What binds a browser token beyond its scope: chats alone, from the pages that it names."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.browser_token import BrowserToken
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.door.metadata import ORIGIN, Said

CHATS: Final = "/trunkline.v1.ChatService/"


def require_bound(token: BrowserToken, method: str, said: Said) -> None:
    """Raises SCOPE_MISSING, FIELD_FORBIDDEN."""
    if not method.startswith(CHATS):
        raise TrunklineError(Reason.SCOPE_MISSING, "a browser token is for chats alone")
    if token.origins and said.name(ORIGIN) not in token.origins:
        raise TrunklineError(Reason.FIELD_FORBIDDEN, f"{ORIGIN}: the browser token is for other pages")
