"""
What a reviewer would say of a playbook: findings that refuse nothing, for its authors alone.
"""
