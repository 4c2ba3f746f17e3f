"""The openpi websocket protocol, both ends of it."""
