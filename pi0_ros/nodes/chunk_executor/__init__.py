"""The 50 Hz executor node: chunks in, limited commands out."""
