"""
The rules of matching: pure, without I/O, clock or randomness.
"""
