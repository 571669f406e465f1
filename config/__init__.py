"""With what: the service's settings, addresses and launchers."""
