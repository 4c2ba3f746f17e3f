"""Backends of the policy: a network in this process, or one behind a server."""
