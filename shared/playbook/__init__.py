"""
What a business tells Holdfast: one playbook for each agent, checked, published by content hash, kept by version.
"""
