"""One folder per process; services never import each other."""
