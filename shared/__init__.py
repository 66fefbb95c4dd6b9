"""Libraries with a name and at least two users among the services; never imports `services`."""
