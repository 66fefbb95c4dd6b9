"""
What the matcher asks beside its model.
"""
