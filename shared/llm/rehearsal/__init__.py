"""
The rehearsal model: a deterministic stand-in behind the OpenAI protocol. No quality figure may come from it.
"""
