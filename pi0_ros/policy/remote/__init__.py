"""The openpi websocket protocol: client and server."""
