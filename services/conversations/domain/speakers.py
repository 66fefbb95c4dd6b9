"""
Who may say what of a turn. A reader of Kafka is not told who wrote a record, but the broker's rules say who may write
on a topic: so each topic is believed in what its writers decide, and in nothing else.

* `turns.verified`, which the verifier alone writes: that a text passed, or why it is kept back.
* `turns.finished`, which the matcher and the reasoner write: pauses for calls, results of calls, silence, failures and
  hand-offs. Neither a text nor a verification counts there.

An older verifier writes on `turns.finished`. Where `verified_from_finished` is set it is believed there, for as long as
one runs.
"""

from shared.errors import Invalid
from shared.events.topics import TURNS_FINISHED, TURNS_VERIFIED
from shared.events.turns import FinishResult, TurnFinished

WRONG_TOPIC = "wrong_topic"
RESULT_TOPICS = (TURNS_FINISHED, TURNS_VERIFIED)
"""Where the stages tell that they are done with a turn."""


def check_speaker(topic: str, finished: TurnFinished, *, verified_from_finished: bool) -> None:
    """
    Look whether who may write on *topic* decides what *finished* says.

    Raises:
        Invalid: (`wrong_topic`) it does not.

    """
    if topic == TURNS_VERIFIED:
        if _asks_for_calls(finished) or finished.result is FinishResult.SILENT:
            raise Invalid(
                WRONG_TOPIC,
                f"a result {finished.result} of the {finished.stage}, or a tool call, came on {TURNS_VERIFIED}; those "
                f"are taken from {TURNS_FINISHED}: the verifier only says whether a text may leave",
            )
    elif is_verifiers_word(finished) and not verified_from_finished:
        raise Invalid(
            WRONG_TOPIC,
            f"a result {finished.result} with a text or a verification came on {TURNS_FINISHED}; those are believed on "
            f"{TURNS_VERIFIED} alone, which only the verifier may write. While verifiers of an older release run, set "
            "HOLDFAST_CONVERSATIONS_VERIFIED_FROM_FINISHED=true",
        )


def is_verifiers_word(finished: TurnFinished) -> bool:
    """Whether *finished* says what only a verifier knows: that a text was checked."""
    vouched = finished.text or finished.text_sha256 or finished.verification is not None
    return bool(vouched) or finished.result is FinishResult.VERIFIED


def _asks_for_calls(finished: TurnFinished) -> bool:
    asked = finished.calls or finished.claims or finished.results
    return bool(asked) or finished.result is FinishResult.PAUSED
