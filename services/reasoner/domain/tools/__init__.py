"""
Tools, pure: which may be called, what is asked of the model about them, what its answer comes to.
"""
