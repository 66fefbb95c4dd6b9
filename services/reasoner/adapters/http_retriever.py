"""
Retrievers that are HTTP endpoints, reached through the reasoner's guard.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from services.reasoner.adapters.answers import NotAnswered, Refused
from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.secrets import SecretMissing, Secrets, masked
from services.reasoner.domain.retrieval import Unreadable, documents, read
from services.reasoner.metrics import ReasonerMetrics
from services.reasoner.settings import OutgoingSection
from shared.errors import HoldfastError
from shared.events.turns import FactRecord
from shared.events.values import bounded
from shared.playbook.knowledge import Retriever

log = structlog.get_logger(__name__)


class _Unanswered(HoldfastError):
    """A question that was not answered; `reason` is a bounded word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class HttpRetrievers:
    """Asks retrievers; *clock* tells unix seconds."""

    def __init__(
        self, outgoing: Outgoing, settings: OutgoingSection, metrics: ReasonerMetrics, clock: Callable[[], float]
    ) -> None:
        self._outgoing = outgoing
        self._secrets = Secrets(settings.secrets_directory)
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    async def find(self, retriever: Retriever, query: str, *, tenant: str, deadline: float) -> tuple[FactRecord, ...]:
        """
        What *tenant*'s *retriever* finds for *query* by *deadline* (the event loop's clock, seconds), without the
        secrets that it was sent. It is asked once: a reply without its documents says that it does not know, which is
        better than a late one.
        """
        try:
            found = await self._found(retriever, query, tenant, deadline)
        except (NotAnswered, Refused, _Unanswered) as error:
            return self._nothing(retriever, error.reason, str(error))
        except SecretMissing as error:
            return self._nothing(retriever, "secret", str(error))
        except Unreadable as error:
            return self._nothing(retriever, "unreadable", str(error))
        except MemoryError:
            raise
        except Exception as error:
            log.debug("a retriever could not be asked", retriever=retriever.id, exc_info=True)
            return self._nothing(retriever, "fault", type(error).__name__)
        self._metrics.retrieval("found" if found else "empty")
        return found

    async def _found(self, retriever: Retriever, query: str, tenant: str, deadline: float) -> tuple[FactRecord, ...]:
        timeout_seconds = min(retriever.timeout_seconds, deadline - asyncio.get_running_loop().time())
        if timeout_seconds <= 0:
            raise _Unanswered("no_time", "the turn's time was over")
        reads = retriever.method == "GET"
        question = {"query": bounded(query), "top_k": retriever.top_k}
        body = None if reads else json.dumps(question).encode()
        headers = {"content-type": "application/json"} if body else {}
        held = self._secrets.values(retriever.headers)
        answer = await self._outgoing.request(
            retriever.method,
            retriever.url,
            tenant=tenant,
            headers=headers | self._secrets.headers(retriever.headers),
            params={name: str(held) for name, held in question.items()} if reads else None,
            content=body,
            timeout_seconds=timeout_seconds,
            bytes_max=min(retriever.result_bytes_max, self._settings.answer_bytes_max),
        )
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110 §15.3
            raise _Unanswered("status", f"status {answer.status}")
        # A document is cut to its length only after it was masked: half a secret could not be told from other text.
        found = masked(read(answer.content), (*held, *self._secrets.values(retriever.headers)))
        return documents(retriever, found, datetime.fromtimestamp(self._clock(), UTC))

    def _nothing(self, retriever: Retriever, reason: str, told: str) -> tuple[FactRecord, ...]:
        self._metrics.retrieval(reason)
        log.warning("a retriever gave nothing", retriever=retriever.id, reason=reason, told=told)
        return ()
