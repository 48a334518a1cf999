"""`docs/features.md` has every feature once, and every proof it names exists."""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import iter_modules

import pytest

from tests.docs.page import ROOT, codes, page, tables
from trunkline import v1
from trunkline_server.cli import COMMANDS

PAGE = page("features.md")
FEATURES = tables(PAGE, "id")
COUNTS = {"T": 23, "P": 11, "M": 7, "J": 8, "C": 5, "I": 2, "O": 8, "W": 8}
MODULES = [
    import_module(f"{v1.__name__}.{module.name}")
    for module in iter_modules(v1.__path__)
    if module.name.endswith("_pb2")
]
SERVICES = {name: service for module in MODULES for name, service in module.DESCRIPTOR.services_by_name.items()}
MESSAGES = {name: message for module in MODULES for name, message in module.DESCRIPTOR.message_types_by_name.items()}


def test_every_feature_stands_there_once_in_order() -> None:
    assert [row[0] for row in FEATURES] == [f"{kind}{n}" for kind, most in COUNTS.items() for n in range(1, most + 1)]


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row[0])
def test_what_is_there_has_a_proof_and_what_is_not_says_so(row: list[str]) -> None:
    _, _, how, proof = row

    assert bool(proof) != (how == "not yet")


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row[0])
def test_every_proof_is_a_test_that_exists(row: list[str]) -> None:
    missing = [path for path in codes(row[3]) if not re.search(r"^(async )?def test_", _text(path), re.MULTILINE)]

    assert not missing


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row[0])
def test_every_name_of_the_contract_and_the_console_exists(row: list[str]) -> None:
    unknown = [name for name in codes(row[2]) if not _is_known(name)]

    assert not unknown


def _text(path: str) -> str:
    file = ROOT / path
    return file.read_text("utf-8") if file.is_file() else ""


def _is_known(name: str) -> bool:
    """`Service.Method`, `Message.field` or a command; other words (settings, fields beside another) are not judged."""
    command, _, words = name.partition(" ")
    if command == "trunkline":
        return words.partition(" ")[0] in (*COMMANDS, "--help")
    owner, _, member = name.partition(".")
    if owner.endswith("Service"):
        return owner in SERVICES and (not member or member in SERVICES[owner].methods_by_name)
    if owner[:1].isupper() and member:
        return owner in MESSAGES and member in MESSAGES[owner].fields_by_name
    return True
