"""The worked example of a signed request: its bytes are what the client makes, and what the gateway believes."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trunkline.signing import SigningKey
from trunkline.v1 import models_pb2
from trunkline_server.door.metadata import Said
from trunkline_server.door.signed import Claim, Posted, content_of, require_kept

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
PATH = "/trunkline.v1.ModelService/GetModel"


def test_the_worked_example() -> None:
    example = PAGE.read_text("utf-8").partition("### A worked example")[2].partition("\n## ")[0]
    content, base, sent = (block.partition("\n")[2].strip("\n") for block in example.split("```")[1::2])
    message = models_pb2.GetModelRequest(name="sandbox/echo").SerializeToString()
    assert bytes.fromhex(content) == content_of(message)

    private = Ed25519PrivateKey.from_private_bytes(urlsafe_b64decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU="))
    fields = [(name, value) for name, _, value in (line.partition(": ") for line in sent.splitlines())]
    claim = Claim.of(Said.read(fields), Posted(PATH))
    assert (claim.key_id, claim.created_s, claim.base.decode()) == ("Aa1Bb2Cc3Dd4", 1795296000, base)
    assert claim.is_by([private.public_key().public_bytes_raw()])
    require_kept(claim.digest, bytes.fromhex(content))

    made = SigningKey(claim.key_id, private).sign(
        "POST", PATH, content_of(message), dict(fields[:1]), created_s=claim.created_s, nonce=claim.nonce
    )
    assert list(made.items()) == fields[1:]
