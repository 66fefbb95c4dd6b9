"""What the operator talks to: topics, and the processes that it starts."""
