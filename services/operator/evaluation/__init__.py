"""
Evaluation: labelled scenarios through the live matcher, and how often its decisions are right.
"""
