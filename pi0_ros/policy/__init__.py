"""The policy: one observation in, one chunk out. Import the modules; most of them need no torch."""
