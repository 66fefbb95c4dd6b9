"""
Which calls wait for a person's approval, as the topics tell it: asked for, not decided, not expired, not erased.
"""

from dataclasses import dataclass, field
from datetime import datetime

from shared.events.base import Body
from shared.events.conversation import ApprovalGiven, ApprovalRequested, ConversationErased
from shared.events.envelope import Address


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and the conversation that it comes from."""

    address: Address
    asked: ApprovalRequested


@dataclass(slots=True)
class Approvals:
    """Takes the events of all their topics, in any order between them; `waiting` may be asked at any time."""

    _requests: dict[str, Request] = field(default_factory=dict)
    _given: dict[tuple[Address, str], list[ApprovalGiven]] = field(default_factory=dict)
    _erased: dict[Address, datetime] = field(default_factory=dict)
    _asked_at: dict[str, datetime] = field(default_factory=dict)

    def take(self, address: Address, body: Body, at: datetime) -> None:
        """An event of the conversation at *address*, which happened *at*."""
        match body:
            case ApprovalRequested():
                self._requests[body.approval_id] = Request(address, body)
                self._asked_at[body.approval_id] = at
            case ApprovalGiven():
                self._given.setdefault((address, body.approval_id), []).append(body)
            case ConversationErased():
                self._erased[address] = max(at, self._erased.get(address, at))
            case _:
                pass  # replies, messages and the like decide nothing

    def waiting(self, now: datetime, *, tenant: str = "") -> list[Request]:
        """What waits at *now*, of *tenant* or of all, the soonest to expire first."""
        open_ = (request for request in self._requests.values() if self._waits(request, now))
        chosen = (request for request in open_ if not tenant or request.address.tenant == tenant)
        return sorted(chosen, key=lambda request: (request.asked.expires_at, request.asked.approval_id))

    def decision(self, approval_id: str) -> ApprovalGiven | None:
        """The first decision that counts about what was asked under *approval_id*, if there is one."""
        request = self._requests.get(approval_id)
        return self._decision(request) if request else None

    @staticmethod
    def _counts(given: ApprovalGiven, asked: ApprovalRequested) -> bool:
        """To refuse, nobody need say what they saw; what allows another call than was asked for counts for nothing."""
        return not given.granted or given.digest == asked.digest or not (given.digest and asked.digest)

    def _decision(self, request: Request) -> ApprovalGiven | None:
        given = self._given.get((request.address, request.asked.approval_id), [])
        return next((one for one in given if self._counts(one, request.asked)), None)

    def _waits(self, request: Request, now: datetime) -> bool:
        address, asked = request.address, request.asked
        erased_at = self._erased.get(address)
        if erased_at is not None and erased_at >= self._asked_at[asked.approval_id]:
            return False
        return self._decision(request) is None and asked.expires_at > now
