"""Faust, its tables on Kafka, and the web views."""
