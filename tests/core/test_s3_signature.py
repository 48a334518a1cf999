"""Requests to buckets are signed as AWS does it."""

from __future__ import annotations

from datetime import UTC, datetime

from trunkline_server.core.s3_signature import Signer

SIGNER = Signer("us-east-1", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "examplebucket.s3.amazonaws.com"


def test_an_object_is_asked_for() -> None:
    headers = SIGNER.headers("GET", HOST, "/test.txt", b"", NOW)
    assert headers["x-amz-date"] == "20130524T000000Z"
    assert headers["x-amz-content-sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    # the same steps give the signature that AWS publishes for `GET /?lifecycle` with these keys
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        "Signature=df548e2ce037944d03f3e68682813b093763996d597cf890ca3d9037fd231eb4"
    )


def test_everything_that_counts_is_signed() -> None:
    def signature(method: str = "PUT", host: str = HOST, path: str = "/a", body: bytes = b"x", hour: int = 0) -> object:
        return SIGNER.headers(method, host, path, body, NOW.replace(hour=hour))["authorization"]

    others = {signature("GET"), signature(host="b"), signature(path="/b"), signature(body=b"y"), signature(hour=1)}
    assert len(others | {signature()}) == 6


def test_the_key_is_not_shown() -> None:
    assert "wJalr" not in repr(SIGNER)
