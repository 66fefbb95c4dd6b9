"""
The wire contracts: what travels on which topic, as pydantic models in CloudEvents 1.0.

Writers publish what the closed JSON Schemas allow; readers ignore fields they do not know and read an unknown enum
value as `other`, so that both sides of a rolling upgrade understand each other.
"""
