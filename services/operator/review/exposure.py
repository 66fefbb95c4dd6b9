"""
Secrets and personal data in a playbook's texts: every text goes to the model, and much of it to customers.

Key formats are the issuers' own prefixes, as detect-secrets and gitleaks know them; entropy limits are those of
detect-secrets (4.5 bits a character for base64, 3.0 for hexadecimal). IBAN by ISO 13616 (mod 97), card numbers by
ISO/IEC 7812-1 (Luhn).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from math import log2
from typing import Any, Final

from shared.playbook.finding import Basis, Finding, Path, Severity
from shared.playbook.model import Playbook

SHOWN_CHARS = 4
BASE64_BITS_MIN = 4.5
HEX_BITS_MIN = 3.0
IBAN_CHARS_MIN = 15
CARD_DIGITS_MIN, CARD_DIGITS_MAX = 13, 19
PHONE_DIGITS_MIN, PHONE_DIGITS_MAX = 9, 15

_SECRETS: Final[Mapping[str, re.Pattern[str]]] = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b"),
    "a GitLab token": re.compile(r"\bglpat-[A-Za-z0-9_-]{20,64}"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    "a Slack webhook": re.compile(r"hooks\.slack\.com/services/T\w{8,12}/B\w{8,12}/\w{20,30}"),
    "a Stripe key": re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,99}"),
    "a Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    "a model provider's key": re.compile(r"\bsk-[A-Za-z0-9_-]{16,250}"),
    "a SendGrid key": re.compile(r"\bSG\.[\w-]{16,32}\.[\w-]{16,64}"),
    "a Twilio key": re.compile(r"\bSK[0-9a-f]{32}\b"),
    "an npm token": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,1000}"),
    "a password in an address": re.compile(r"://[^/\s:@]{1,64}:[^/\s@]{3,128}@"),
    "a bearer token": re.compile(r"\b[Bb]earer [A-Za-z0-9._~+/-]{16,512}"),
    "a password": re.compile(
        r"(?i)\b(?:password|passwd|pwd|api[_ -]?key|secret(?:[_ -]key)?|access[_ -]token)\s{0,3}"
        r"[:=]\s{0,3}[\"']?(?=[^\s\"']{0,64}[0-9!$%&*+_-])[^\s\"'<>{}]{6,128}"
    ),
}
_TOKEN: Final = re.compile(r"(?<![\w/+.-])[A-Za-z0-9+/_=-]{20,256}(?![\w/+-])")
_HEX: Final = re.compile(r"[0-9a-fA-F]{32,256}")
_EMAIL: Final = re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})\b")
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}\b")
_CARD: Final = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])")
_PHONE: Final = re.compile(
    r"(?<![\w.+-])(?<!\d )(?:\+|00)[1-9](?:[ ()./-]{0,2}\d){7,14}(?!\w)"
    r"|(?<![\w.-])(?<!\d )\(?0\d{2,4}\)?[ /-]\d(?:[ -]?\d){5,9}(?!\w)"
)

# Addresses that belong to a function, and domains that RFC 2606 and RFC 6761 keep for examples.
_ROLE_NAMES: Final = """
    admin billing careers complaints contact feedback hello help helpdesk info jobs legal no-reply noreply office orders
    press privacy returns sales security service support team
"""
_ROLES: Final = frozenset(_ROLE_NAMES.split())
_EXAMPLES: Final = ("example.com", "example.org", "example.net", ".example", ".test", ".invalid", ".localhost")


def exposures(playbook: Playbook) -> Iterator[Finding]:
    """Secrets and personal data anywhere in *playbook*; what was found is not repeated in full."""
    for path, text in texts(playbook.model_dump(mode="json", exclude_defaults=True)):
        known = [(kind, match[0]) for kind, pattern in _SECRETS.items() for match in [pattern.search(text)] if match]
        for kind, found in known:
            yield _secret(path, kind, found, Basis.RULE)
        if not known and (found := _dense(text)):
            yield _secret(path, "a random string such as keys are", found, Basis.HEURISTIC)
        for kind, severity, search in _PERSONAL:
            if found := search(text):
                yield _personal(path, kind, severity, found)


def texts(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text within the JSON *data*, with its path."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, Mapping):
        for key, inner in data.items():
            yield from texts(inner, (*path, key))
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from texts(inner, (*path, index))


def _secret(path: Path, kind: str, found: str, by: Basis) -> Finding:
    reason = f"the text seems to hold {kind} ({_masked(found)}); the model and whoever reads the topic would see it"
    remedy = "remove it, and replace it where it was valid: it counts as known; tools take keys from the environment"
    return Finding(Severity.WARNING, "secret", path, reason, remedy, by=by)


def _personal(path: Path, kind: str, severity: Severity, found: str) -> Finding:
    reason = f"the text seems to hold {kind} ({_masked(found)})"
    remedy = "remove it unless it is the business's own; what concerns one customer belongs into a variable"
    return Finding(severity, "personal_data", path, reason, remedy, by=Basis.HEURISTIC)


def _masked(found: str) -> str:
    return f"{found[:SHOWN_CHARS]}…, {len(found)} characters"


def _dense(text: str) -> str:
    """The first string in *text* that is too random to be a word, a path or an id; empty if there is none."""
    for match in _TOKEN.finditer(text):
        found = match[0]
        if _HEX.fullmatch(found):
            if _bits(found.lower()) >= HEX_BITS_MIN:
                return found
        elif _is_mixed(found) and _bits(found) >= BASE64_BITS_MIN:
            return found
    return ""


def _is_mixed(text: str) -> bool:
    tests: tuple[Callable[[str], bool], ...] = (str.isdigit, str.islower, str.isupper)
    return all(any(test(char) for char in text) for test in tests)


def _bits(text: str) -> float:
    """Shannon's entropy of a character of *text*."""
    return -sum(count / len(text) * log2(count / len(text)) for count in Counter(text).values())


def _email(text: str) -> str:
    for match in _EMAIL.finditer(text):
        name, domain = match[1].lower(), match[2].lower()
        if name not in _ROLES and not domain.endswith(_EXAMPLES):
            return match[0]
    return ""


def _iban(text: str) -> str:
    for match in _IBAN.finditer(text):
        plain = match[0].replace(" ", "")
        # A following word may have been taken in: the longest valid beginning counts.
        for end in range(len(plain), IBAN_CHARS_MIN - 1, -1):
            turned = plain[4:end] + plain[:4]
            if int("".join(str(int(char, 36)) for char in turned)) % 97 == 1:
                return plain[:end]
    return ""


def _card(text: str) -> str:
    for match in _CARD.finditer(text):
        digits = [int(char) for char in match[0] if char.isdigit()]
        if CARD_DIGITS_MIN <= len(digits) <= CARD_DIGITS_MAX and len(set(digits)) > 1 and _luhn(digits):
            return match[0]
    return ""


def _luhn(digits: list[int]) -> bool:
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]  # noqa: PLR2004
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _phone(text: str) -> str:
    for match in _PHONE.finditer(text):
        if PHONE_DIGITS_MIN <= sum(char.isdigit() for char in match[0]) <= PHONE_DIGITS_MAX:
            return match[0].strip()
    return ""


_PERSONAL: Final[tuple[tuple[str, Severity, Callable[[str], str]], ...]] = (
    ("somebody's email address", Severity.WARNING, _email),
    ("an IBAN", Severity.WARNING, _iban),
    ("a card number", Severity.WARNING, _card),
    # Hotlines are what such texts are for.
    ("a phone number", Severity.NOTE, _phone),
)
