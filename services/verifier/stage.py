"""
The verifier's work on one turn: drives the procedure, asks what it wants to know, and decides what leaves.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from services.verifier.domain.case import Case, Rules, case_of, rules_of
from services.verifier.domain.procedure import Procedure, sha256_of
from services.verifier.domain.questioning import Query
from services.verifier.metrics import VerifierMetrics
from services.verifier.settings import VerifierSection
from shared.events.envelope import Envelope
from shared.events.topics import TURNS_VERIFIED
from shared.events.turns import FinishResult, Mark, Spent, Turn, TurnDrafted, Verification
from shared.events.verified import TurnVerified
from shared.llm.base import LanguageModel, Usage
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.structured import ask
from shared.playbook.derived import Derived
from shared.playbook.directory import Directory
from shared.playbook.model import Playbook
from shared.stage.turn_stage import Products

STAGE = "verifier"
CLAIMS_FAILED = "claims_failed"


class _Account:
    """What the calls of one verification cost."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.model = ""

    @property
    def spent(self) -> Spent:
        usage = self.usage
        return Spent(
            calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, model=self.model
        )


class Verifying:
    """
    Verifies a drafted reply and ends the turn.

    *clock* tells unix seconds. Emits `turn.verified`: `verified` with the reply; or `failed` (`hand_off`, as the
    playbook says) with a fallback when the reply does not pass, or when the model gives no usable answer: nothing
    unchecked leaves. Where an experiment only flags, failed claims are recorded and the draft leaves as it is,
    unless the gate rejects the reply as a whole.
    """

    def __init__(
        self,
        model: LanguageModel,
        directory: Directory,
        settings: VerifierSection,
        metrics: VerifierMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._model = model
        self._derived: Derived[Rules] = Derived(directory, rules_of)
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    async def process(self, event: Envelope[TurnDrafted]) -> Products:
        """
        What follows from *event*.

        Raises:
            Retryable: the model, or the playbook's version, is not available now, and there is time to try again.

        """
        received = self._clock()
        drafted = event.data
        playbook, rules = self._derived.of(drafted.opened.turn)
        case = case_of(drafted, playbook, rules)
        procedure, account = Procedure(case), _Account()
        failure = ""
        try:
            await self._drive(procedure, account, drafted.opened.turn)
        except ModelUnavailable as error:
            if self._remaining_seconds(drafted.opened.turn) > (error.retry_after_seconds or 0):
                raise
            failure = f"model_{error.kind}"
        except InvalidAnswer as error:
            account.usage += error.usage
            failure = f"verify_{error.kind}"
        except ModelRefused as error:
            failure = f"model_{error.kind}"
        return [(TURNS_VERIFIED, "turn.verified", self._finished(case, procedure, account.spent, failure, received))]

    async def _drive(self, procedure: Procedure, account: _Account, turn: Turn) -> None:
        deadline = asyncio.get_running_loop().time() + self._remaining_seconds(turn)
        asking = procedure.run()
        answers: Any = None
        while True:
            try:
                queries = asking.send(answers)
            except StopIteration:
                return
            asked = [self._ask(query, account, turn, deadline) for query in queries]
            # All are awaited before the first failure is raised, so that what each of them cost is known.
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            if failure := next((outcome for outcome in outcomes if isinstance(outcome, BaseException)), None):
                raise failure
            answers = outcomes

    async def _ask(self, query: Query, account: _Account, turn: Turn, deadline: float) -> Any:
        answered = await ask(
            self._model,
            query.blueprint,
            query.prompt,
            purpose=query.purpose,
            tenant=turn.tenant,
            deadline=deadline,
            temperature=self._settings.temperature if query.temperature is None else query.temperature,
            output_tokens_max=self._settings.output_tokens_max,
            check=query.check,
            request_id=turn.id,
        )
        account.usage += answered.usage
        account.model = answered.model
        return answered.answer

    def _remaining_seconds(self, turn: Turn) -> float:
        begun, ends = turn.opened_at.timestamp(), turn.deadline.timestamp()
        return begun + (ends - begun) * self._settings.model_share - self._clock()

    def _finished(self, case: Case, procedure: Procedure, spent: Spent, failure: str, received: float) -> TurnVerified:
        verification = procedure.verification(spent)
        leaves = not failure and procedure.leaves
        self._count(procedure, verification, failure)
        drafted = case.drafted
        mark = Mark(stage=STAGE, received_ms=int(received * 1_000), finished_ms=int(self._clock() * 1_000))
        reason = failure or procedure.rejection or CLAIMS_FAILED
        return TurnVerified(
            turn=drafted.opened.turn,
            stage=STAGE,
            matching=drafted.matching,
            draft=drafted.draft,
            verification=verification,
            marks=(*drafted.marks, mark),
            journeys=drafted.matching.journeys if leaves else None,
            **(_leaving(procedure.reply) if leaves else _kept_back(case.playbook, reason)),
        )

    def _count(self, procedure: Procedure, verification: Verification, failure: str) -> None:
        if failure:
            result = "failed"
        elif procedure.passed:
            result = "passed"
        else:
            result = "rejected" if verification.corrects else "flagged"
        self._metrics.verified(verification, result)
        if procedure.calibrated is not None:
            self._metrics.calibrated(agrees=procedure.calibrated)


def _leaving(reply: str) -> dict[str, Any]:
    return {"result": FinishResult.VERIFIED, "text": reply, "text_sha256": sha256_of(reply)}


def _kept_back(playbook: Playbook, reason: str) -> dict[str, Any]:
    if playbook.verification.when_failed == "hand_off":
        return {"result": FinishResult.HAND_OFF, "fallback": "hand_off", "reason": reason}
    return {"result": FinishResult.FAILED, "fallback": "failed", "reason": reason}
