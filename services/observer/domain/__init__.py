"""What the observer counts, as pure functions of records and offsets."""
