"""An in-memory broker that speaks the Kafka protocol, for the demonstration, development and fast tests."""

from shared.broker.embedded.broker import EmbeddedBroker
from shared.broker.embedded.codes import Code
from shared.broker.embedded.faults import Act, Delay, Drop, Faults, Refuse, Rule
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.wire import Api

__all__ = ["Act", "Api", "Code", "Delay", "Drop", "EmbeddedBroker", "Faults", "Limits", "Refuse", "Rule"]
