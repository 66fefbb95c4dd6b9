"""A write on a connection that has just been lost is a connection error, as uvloop reports it too."""

import pytest
from aiokafka.errors import KafkaConnectionError

from shared.broker.clients import KafkaSettings, admin


async def test_a_client_outlives_a_write_on_a_lost_connection(embedded_broker):
    client = admin(KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers))
    await client.start()
    try:
        assert await client.list_topics() == []

        def lost(_):
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

        for connection in client._client._conns.values():
            connection._writer.write = lost
        with pytest.raises(KafkaConnectionError):
            await client.list_topics()
        # The client has noticed, and takes another connection.
        assert await client.list_topics() == []
    finally:
        await client.close()
