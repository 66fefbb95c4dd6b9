"""
How many drafts a second the code gate decides: `python -m services.verifier.gate_speed FILE`, in a process of its own,
as the operator's benchmark may not import this service.

FILE holds `{"playbook": …, "drafts": [body of turn.drafted, …]}`. Prints `{"drafts": …, "seconds": …, "claims": …}`, in
seconds of CPU. Texts are new in every round, so that nothing remembered from the last one helps: only the facts and the
playbook come again.
"""

import json
import sys
import time
from pathlib import Path

from services.verifier.domain import revision
from services.verifier.domain.case import case_of, rules_of
from services.verifier.domain.claims import pieces_of
from services.verifier.domain.gate import reply_complaints
from shared.events.turns import Draft, TurnDrafted
from shared.playbook.model import Playbook

ROUNDS = 20


def main() -> None:
    """Measure what stands in the file that the command line names."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    playbook = Playbook.model_validate(given["playbook"])
    drafts = [TurnDrafted.model_validate(drafted) for drafted in given["drafts"]]
    rules = rules_of(playbook)
    seconds, claims = 0.0, 0
    for number in range(ROUNDS):
        fresh = [_renamed(drafted, f"{number}") for drafted in drafts]
        begun = time.process_time()
        for drafted in fresh:
            case = case_of(drafted, playbook, rules)
            pieces = [revision.gated(piece, case.ground) for piece in pieces_of(drafted.draft.segments, case.ground)]
            reply_complaints(drafted.draft.text, drafted.draft.restated, case.known_guidelines, playbook)
            claims += sum(piece.is_claim for piece in pieces)
        seconds += time.process_time() - begun
    sys.stdout.write(json.dumps({"drafts": ROUNDS * len(drafts), "seconds": seconds, "claims": claims}) + "\n")


def _renamed(drafted: TurnDrafted, suffix: str) -> TurnDrafted:
    """*drafted* with a word more in every segment."""
    segments = tuple(
        segment.model_copy(update={"text": f"{segment.text} ok{suffix}"}) for segment in drafted.draft.segments
    )
    draft: Draft = drafted.draft.model_copy(update={"segments": segments})
    return drafted.model_copy(update={"draft": draft})


if __name__ == "__main__":
    main()
