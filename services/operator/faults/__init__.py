"""
The fault matrix: one row a fault, each a whole Holdfast under load that meets it, judged by an independent reader.
"""
