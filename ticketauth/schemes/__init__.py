"""One way to prove who you are at the opening handshake per class, one kind of credential per file."""
