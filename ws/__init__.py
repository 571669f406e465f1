"""The service's WebSocket surface: typed frames, consumers, routing."""
