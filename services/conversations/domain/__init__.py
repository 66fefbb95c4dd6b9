"""
What is true of a conversation and what follows from an event: pure functions, without clock, randomness or I/O.
"""
