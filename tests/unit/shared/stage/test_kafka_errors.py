"""Each error of the Kafka client tells the stage what to do."""

import pytest
from aiokafka import errors

from shared.errors import Fatal, Invalid, Retryable
from shared.stage.errors import OwnershipLost
from shared.stage.kafka_errors import translated


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (errors.KafkaConnectionError("refused"), Retryable),
        (errors.KafkaTimeoutError(), Retryable),
        (errors.NodeNotReadyError(), Retryable),
        (errors.RequestTimedOutError(), Retryable),
        (errors.NotLeaderForPartitionError(), Retryable),
        (errors.GroupCoordinatorNotAvailableError(), Retryable),
        (errors.GroupLoadInProgressError(), Retryable),
        (errors.RebalanceInProgressError(), Retryable),
        (TimeoutError(), Retryable),
        (ConnectionResetError(), Retryable),
        # uvloop's, for a write on a connection that a dying broker closed.
        (RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"), Retryable),
        (errors.CommitFailedError(), OwnershipLost),
        (errors.UnknownMemberIdError(), OwnershipLost),
        (errors.IllegalGenerationError(), OwnershipLost),
        (errors.ProducerFenced(), OwnershipLost),
        (errors.InvalidProducerEpoch(), OwnershipLost),
        (errors.OutOfOrderSequenceNumber(), OwnershipLost),
        (errors.IllegalStateError("not assigned"), OwnershipLost),
        # PRODUCER_FENCED (90) is unknown to aiokafka 0.14 and arrives as this.
        (errors.for_code(90)(), OwnershipLost),
        # The client's own tasks died: it fetches, sends or rejoins nothing more.
        (errors.KafkaError("Unexpected error during coordination"), OwnershipLost),
        (ZeroDivisionError(), OwnershipLost),
        (errors.TopicAuthorizationFailedError("t"), Fatal),
        (errors.GroupAuthorizationFailedError("g"), Fatal),
        (errors.SaslAuthenticationFailed(), Fatal),
        (errors.UnsupportedVersionError(), Fatal),
        (errors.MessageSizeTooLargeError("2 MiB"), Invalid),
        (errors.RecordListTooLargeError(), Invalid),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_an_error_has_its_meaning(error, meaning):
    assert type(translated(error, "writing")) is meaning


def test_the_message_tells_what_was_being_done():
    assert str(translated(errors.KafkaConnectionError("refused"), "joining the group x")).startswith(
        "joining the group x: "
    )


def test_an_error_of_ours_stays_as_it_is():
    error = Fatal("as it is")
    assert translated(error, "writing") is error
