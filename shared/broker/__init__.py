"""
What talks to, or is, a Kafka broker.

`clients` makes aiokafka's consumers, producers and admin clients with every default that matters set by hand;
`embedded` is an in-process broker for development and tests; `local` lays out and runs a local Apache Kafka.
"""
