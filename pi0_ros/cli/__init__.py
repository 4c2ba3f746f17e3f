"""The ``pi0`` command: thin verbs over the library."""
