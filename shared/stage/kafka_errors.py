"""
What each error of the Kafka client means to a stage.
"""

from aiokafka import errors

from shared.errors import Fatal, HoldfastError, Invalid, Retryable
from shared.stage.errors import OwnershipLost

# Another process may hold what we believe to be ours, or the client's own state is beyond repair.
_LOST = (
    errors.CommitFailedError,
    errors.IllegalGenerationError,
    errors.UnknownMemberIdError,
    errors.ProducerFenced,
    errors.InvalidProducerEpoch,
    errors.InvalidProducerIdMapping,
    errors.InvalidTxnState,
    errors.OutOfOrderSequenceNumber,
    errors.IllegalStateError,
    errors.IllegalOperation,
    errors.ConsumerStoppedError,
    errors.ProducerClosed,
)
# Nothing changes before somebody changes a setting, a right or a broker.
_FATAL = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.UnsupportedVersionError,
    errors.IncompatibleBrokerVersion,
    errors.InconsistentGroupProtocolError,
    errors.InvalidSessionTimeoutError,
    errors.InvalidGroupIdError,
    errors.InvalidTopicError,
    errors.OffsetMetadataTooLargeError,
)
_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
_NOT_NOW = (
    errors.KafkaConnectionError,
    errors.KafkaTimeoutError,
    errors.NodeNotReadyError,
    errors.RebalanceInProgressError,
)

# What a call of the client may raise when the broker goes: uvloop reports a write on a closed connection as
# RuntimeError.
CLIENT_ERRORS = (errors.KafkaError, TimeoutError, OSError, RuntimeError)


def translated(error: Exception, doing: str) -> HoldfastError:
    """
    *error*, met while *doing*, as the stages' tree has it.

    What is not known becomes `OwnershipLost`: the client and the task are built anew, which is right after any
    surprise.
    """
    told = f"{doing}: {type(error).__name__}: {error}"
    if isinstance(error, HoldfastError):
        return error
    if isinstance(error, _TOO_LARGE):
        return Invalid("output_too_large", told)
    if isinstance(error, _FATAL):
        return Fatal(f"{told}; check the process's rights and HOLDFAST_KAFKA_* settings")
    if isinstance(error, _LOST):
        return OwnershipLost(told)
    # Every KafkaError is a RuntimeError too; only a bare one is uvloop's.
    unknown = isinstance(error, errors.KafkaError) and not error.retriable and not isinstance(error, _NOT_NOW)
    return OwnershipLost(told) if unknown or not isinstance(error, CLIENT_ERRORS) else Retryable(told)
