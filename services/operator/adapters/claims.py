"""
The claims that `claims.judged` holds now, as recorded claims.
"""

from collections.abc import AsyncIterator

from services.operator.adapters.reader import TopicReader
from services.operator.hazard.records import RecordedClaim
from shared.broker.clients import KafkaSettings
from shared.errors import Retryable
from shared.events import topics
from shared.events.claims import ClaimJudged

SILENCE_SECONDS_MAX = 30.0
"""Without a record for so long while some are due, the broker is taken to be away."""
_WAIT_SECONDS = 1.0


async def recorded_claims(settings: KafkaSettings) -> AsyncIterator[RecordedClaim]:
    """
    Every claim on the topic, from its beginning to where it ended when the reading began or later.

    Raises:
        Fatal: the topic does not exist.
        Retryable: the broker stopped answering before the end.

    """
    async with TopicReader(settings, [topics.CLAIMS_JUDGED]) as reader:
        silent_seconds = 0.0
        while True:
            batch = await reader.read(wait_seconds=_WAIT_SECONDS)
            for seen in batch:
                if isinstance(seen.event.data, ClaimJudged):
                    yield RecordedClaim(
                        **seen.event.data.model_dump(),
                        id=seen.event.id,
                        tenant=seen.address.tenant,
                        conversation=seen.address.conversation,
                    )
            if batch:
                silent_seconds = 0.0
                continue
            behind = await reader.behind()
            if not behind:
                return
            silent_seconds += _WAIT_SECONDS
            if silent_seconds >= SILENCE_SECONDS_MAX:
                raise Retryable(
                    f"{topics.CLAIMS_JUDGED}: nothing came for {SILENCE_SECONDS_MAX:.0f} s with {behind:,} offsets "
                    "still to be read; look at the broker, and for a transaction that was left open"
                )
