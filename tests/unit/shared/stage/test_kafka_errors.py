from shared.errors import Retryable
from shared.stage.kafka_errors import translated


def test_a_write_on_a_closed_connection_is_tried_again():
    """Uvloop reports it as a RuntimeError; when a broker died, it stopped a matcher."""
    error = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    assert isinstance(translated(error, "reading"), Retryable)
