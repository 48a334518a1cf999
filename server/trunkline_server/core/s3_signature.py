"""AWS Signature Version 4, as buckets want their requests signed."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SIGNED: Final = "host;x-amz-content-sha256;x-amz-date"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one region with one pair of keys."""

    region: str
    access_key: str
    secret_key: str = field(repr=False)
    service: str = "s3"

    def headers(self, method: str, host: str, path: str, body: bytes, now: datetime) -> dict[str, str]:
        """For a request without a query; `path` begins with `/` and is not yet quoted."""
        time, digest = now.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(body).hexdigest()
        question = f"{method}\n{quote(path)}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n\n"
        scope = f"{time[:8]}/{self.region}/{self.service}/aws4_request"
        asked = hashlib.sha256(f"{question}{SIGNED}\n{digest}".encode()).hexdigest()
        text = f"{ALGORITHM}\n{time}\n{scope}\n{asked}"
        signature = hmac.digest(self._key(time[:8]), text.encode(), "sha256").hex()
        credential = f"Credential={self.access_key}/{scope}, SignedHeaders={SIGNED}, Signature={signature}"
        return {
            "host": host,
            "x-amz-content-sha256": digest,
            "x-amz-date": time,
            "authorization": f"{ALGORITHM} {credential}",
        }

    def _key(self, day: str) -> bytes:
        """Good for a day, a region and a service."""
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key
