"""Personal data and secrets that are known by their form, most of them by a check digit too.

`STANDARD` is what is hardly ever something else. `STRICT` also takes what other numbers can look like.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final

import phonenumbers
from stdnum import bitcoin, iban, luhn
from stdnum.br import cpf
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.us import ssn

from trunkline_server.core.guard.finders import EmailFinder, PatternFinder
from trunkline_server.core.guard.span import Finder

_SEPARATORS: Final = re.compile(r"\D")
_NATIONAL: Final = {9: (bsn,), 10: (nhs,), 11: (idnr, pesel, cpf), 12: (aadhaar,), 15: (nir,)}
"""By their number of digits."""
_LETTERED: Final = (dni, nie, codicefiscale)


def _is_card(text: str) -> bool:
    digits = _SEPARATORS.sub("", text)
    return len(digits) in (14, 15, 16, 19) and len(set(digits)) > 1 and bool(luhn.is_valid(digits))


def _is_phone(text: str) -> bool:
    if not 8 <= sum(map(str.isdecimal, text)) <= 15:
        return False
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text))
    except phonenumbers.NumberParseException:
        return False


def _is_american_phone(text: str) -> bool:
    return _is_phone(f"+1{text}")


def _is_iban(text: str) -> bool:
    return len(text) >= 15 and bool(iban.is_valid(text, check_country=False))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_national(text: str) -> bool:
    digits = _SEPARATORS.sub("", text)
    return len(set(digits)) > 1 and any(each.is_valid(digits) for each in _NATIONAL.get(len(digits), ()))


def _is_lettered(text: str) -> bool:
    return any(each.is_valid(text) for each in _LETTERED)


def _mixed(text: str) -> bool:
    """A key has digits and letters; a word after `sk-` has not."""
    return any(sign.isdigit() for sign in text[4:]) and any(sign.isalpha() for sign in text[4:])


def _finder(
    kind: str, pattern: str, is_real: Callable[[str], bool] = bool, *, in_groups: bool = False
) -> PatternFinder:
    return PatternFinder(kind, re.compile(pattern, re.ASCII), is_real, in_groups)


_SECRET: Final = (
    r"(?<![A-Za-z0-9])(?:sk-|sk_|pk_|rk_|gsk_|xai-|hf_|r8_|tl_|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AIza|AKIA|ASIA|SG\.)"
    r"[A-Za-z0-9_.-]{16,170}(?<!\.)"
)
_PHONE: Final = r"(?<![\w+])\+[1-9](?:[ \u00a0.-]?\(?\d\)?){6,14}(?<=\d)(?!\d)"
_AMERICAN: Final = r"(?<![\w+.-])(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[.-]\d{4}(?![\w-])"
_CARD: Final = r"(?<!\d)(?:3[04-9]|4\d|5[0-8]|6\d|2[2-7])(?:[ \u00a0-]?\d){12,17}(?!\d)"
_IBAN: Final = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]){11,30}(?![A-Za-z0-9])"
_SSN: Final = r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"
_IPV4: Final = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)"
_IPV6: Final = r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])"
_MAC: Final = r"(?<![\w:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![\w:-])"
_BITCOIN: Final = r"(?<![A-Za-z0-9])(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[a-z0-9]{8,87})(?![A-Za-z0-9])"
_NUMBER: Final = r"(?<![\w.+-])\d(?:[ .-]?\d){8,14}(?![\w-])"
_LETTERED_ID: Final = r"(?<![A-Za-z0-9])(?:[XYZ]?\d{7,8}[A-Z]|[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z])(?![A-Za-z0-9])"

STANDARD: Final[Sequence[Finder]] = (
    EmailFinder(),
    _finder("SECRET", _SECRET, _mixed),
    _finder("CARD", _CARD, _is_card, in_groups=True),
    _finder("IBAN", _IBAN, _is_iban, in_groups=True),
    _finder("PHONE", _PHONE, _is_phone, in_groups=True),
    _finder("PHONE", _AMERICAN, _is_american_phone),
    _finder("NATIONAL_ID", _SSN, ssn.is_valid),
)
STRICT: Final[Sequence[Finder]] = (
    *STANDARD,
    _finder("IP_ADDRESS", _IPV4, _is_address),
    _finder("IP_ADDRESS", _IPV6, _is_address),
    _finder("MAC_ADDRESS", _MAC),
    _finder("WALLET", _BITCOIN, bitcoin.is_valid),
    _finder("NATIONAL_ID", _NUMBER, _is_national, in_groups=True),
    _finder("NATIONAL_ID", _LETTERED_ID, _is_lettered),
)
"""The names of kinds are part of the contract: placeholders are made of them."""
