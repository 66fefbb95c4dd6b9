"""A playbook and turns to match."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.events.conversation import Author
from shared.events.turns import Applied, Turn, TurnOpened, Utterance
from shared.playbook.model import Criticality, Guideline, Playbook, Profile, Term

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
Opened = Callable[..., TurnOpened]


@pytest.fixture
def playbook() -> Playbook:
    return Playbook(
        agent="desk",
        profile=Profile(name="Ada"),
        guidelines=(
            Guideline(id="greet", condition="The customer says hello", action="Greet", criticality=Criticality.LOW),
            Guideline(id="card-lost", condition="A card was lost", action="Block it", criticality=Criticality.HIGH),
            Guideline(id="member", condition="The customer is a gold member"),
            Guideline(id="off", condition="Never", action="Nothing", enabled=False),
            Guideline(id="fee", condition="The customer asks about a fee", action="State the fee"),
            Guideline(id="upsell", condition="You are about to name a price", action="Add VAT", agent_intention=True),
            Guideline(
                id="ask-branch",
                condition="The customer wants an appointment",
                action="Ask which branch suits them",
                customer_dependent=True,
            ),
            Guideline(id="calm", condition="The customer is upset", action="Stay calm", continuous=True),
        ),
        glossary=(Term(term="APR", meaning="Annual percentage rate", synonyms=("yearly rate",)),),
    )


@pytest.fixture
def opened() -> Opened:
    def turn(
        *texts: str,
        applied: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        version: str = "v",
        customer_name: str = "",
        journeys: Mapping[str, object] | None = None,
    ) -> TurnOpened:
        """A turn whose messages alternate, the last one being the customer's and new."""
        count = len(texts)
        transcript = tuple(
            Utterance(
                id=f"m{place}",
                author=Author.CUSTOMER if (count - place) % 2 else Author.ASSISTANT,
                text=text,
                at=AT + timedelta(seconds=place),
            )
            for place, text in enumerate(texts)
        )
        return TurnOpened(
            turn=Turn(
                id="turn-1",
                tenant="acme",
                conversation="c-1",
                epoch=3,
                agent="desk",
                playbook_version=version,
                opened_at=AT,
                deadline=AT + timedelta(seconds=50),
            ),
            covers=(transcript[-1].id,) if transcript else (),
            transcript=transcript,
            applied={name: Applied(count=1, epoch=2) for name in applied},
            variables=dict(variables or {}),
            customer_name=customer_name,
            **({"journeys": journeys} if journeys else {}),
        )

    return turn
