"""A JWT becomes a single-use ticket over HTTPS, the ticket becomes an authenticated WebSocket."""

__version__ = "0.1.0"
