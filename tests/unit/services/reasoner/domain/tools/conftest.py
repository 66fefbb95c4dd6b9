"""Tools of a small bank, and what a model says about them."""

import pytest

from services.reasoner.domain.tools.candidates import Toolbox
from shared.playbook.model import Playbook


def parameter(name, **changes):
    return {"name": name} | changes


PLAYBOOK = {
    "agent": "bank",
    "profile": {"name": "Harbour Bank"},
    "guidelines": [
        {"id": "balance", "condition": "They ask for a balance", "action": "State it", "tools": ["balance", "rates"]},
        {"id": "send", "condition": "They want to send money", "action": "Do it", "tools": ["transfer", "balance"]},
        {"id": "rich", "condition": "The balance is high", "action": "Offer funds", "reevaluate_after": ["balance"]},
        {"id": "other", "condition": "Never", "action": "x", "tools": ["secret"]},
    ],
    "tools": [
        {
            "id": "balance",
            "description": "Look up the balance of an account",
            "parameters": [parameter("account", pattern="[0-9]{4}", source="customer")],
            "http": {"url": "https://bank.example/balance/{account}"},
        },
        {"id": "rates", "description": "Today's rates", "http": {"url": "https://bank.example/rates"}},
        {"id": "secret", "description": "Staff only", "http": {"url": "https://bank.example/secret"}},
        {
            "id": "transfer",
            "description": "Send money",
            "consequential": True,
            "parameters": [
                parameter("to", description="the account that receives it", precedence=0),
                parameter("amount", type="number", precedence=1, significance="to know how much to send"),
                parameter("when", type="date", required=False),
                parameter("speed", choices=["slow", "fast"], default="slow", required=False),
                parameter("branch", hidden=True, required=False),
            ],
            "http": {"url": "https://bank.example/transfers", "method": "POST", "idempotency_header": "x-key"},
        },
    ],
}


@pytest.fixture
def playbook():
    return Playbook.model_validate(PLAYBOOK)


@pytest.fixture
def toolbox(playbook):
    return Toolbox(playbook)
