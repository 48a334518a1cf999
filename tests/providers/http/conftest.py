"""The provider and the client of all tests here."""

from tests.providers.http.calls import transport, upstream

__all__ = ["transport", "upstream"]
