"""What the operator computes; pure."""
