"""The recorder node: one bag per episode."""
