"""`docs/errors.md`, the code and the contract know the same errors."""

from __future__ import annotations

from itertools import pairwise

from tests.docs.page import ROOT, bare, codes, page, tables
from trunkline.v1 import errors_pb2
from trunkline_server.core.errors import Reason
from trunkline_server.core.failure import RULES, FailureKind, Retry
from trunkline_server.door.status import CODES

PAGE = page("errors.md")
REASONS = tables(PAGE, "reason")
PREFIX = "ERROR_REASON_"


def test_every_reason_stands_there_once_with_its_code() -> None:
    assert sorted((bare(row[0]), bare(row[1])) for row in REASONS) == sorted(
        (reason.value, CODES[reason].name) for reason in Reason
    )


def test_the_contract_has_the_same_reasons() -> None:
    names = {name.removeprefix(PREFIX) for name in errors_pb2.ErrorReason.DESCRIPTOR.values_by_name}

    assert names - {"UNSPECIFIED"} == {reason.value for reason in Reason}


def test_the_contract_tells_the_same_codes() -> None:
    told = dict(_told_by_contract())

    assert told == {reason.value: CODES[reason].name for reason in Reason}


def test_a_reason_is_called_unused_exactly_where_nothing_raises_it() -> None:
    unused = {bare(row[0]) for row in REASONS if row[2] == "not used"}

    assert unused == {reason.value for reason in Reason if not _is_raised(reason)}


def test_every_class_of_failure_stands_there_with_what_it_allows() -> None:
    rows = tables(PAGE, "class")
    told = {kind: row[2].split(",")[0] for row in rows for kind in codes(row[0])}

    assert told == {kind.value: _again(kind) for kind in FailureKind}


def _told_by_contract() -> list[tuple[str, str]]:
    """The code in the comment above each value of the enum."""
    lines = ROOT.joinpath("proto", "trunkline", "v1", "errors.proto").read_text("utf-8").splitlines()
    return [
        (value.split()[0].removeprefix(PREFIX), comment.strip("/ ").partition(":")[0])
        for comment, value in pairwise(lines)
        if value.strip().startswith(PREFIX) and "UNSPECIFIED" not in value
    ]


def _is_raised(reason: Reason) -> bool:
    """Whether some room beside the tables names the reason, or a function of `core/errors.py` raises it."""
    server = ROOT / "server" / "trunkline_server"
    tables_ = (server / "core" / "errors.py", server / "door" / "status.py", *server.glob("edge/*/errors.py"))
    texts = (path.read_text("utf-8") for path in sorted(server.rglob("*.py")) if path not in tables_)
    functions = tables_[0].read_text("utf-8").partition("\ndef ")[2]
    return any(_names(text, reason) for text in (*texts, functions))


def _names(text: str, reason: Reason) -> bool:
    word = f"Reason.{reason.value}"
    return any(not rest[:1].isidentifier() for rest in text.split(word)[1:])


def _again(kind: FailureKind) -> str:
    rule = RULES[kind]
    if rule.retry is Retry.NEVER:
        return "no"
    return {1: "once", 2: "twice"}[rule.retries_max]
