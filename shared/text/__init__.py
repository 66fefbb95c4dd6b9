"""Text as people read it: what it hides, which writings of it are the same, where its words end."""
