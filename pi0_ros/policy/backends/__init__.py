"""Where the network runs."""
