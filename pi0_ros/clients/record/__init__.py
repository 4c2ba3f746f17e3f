"""`pi0 record`: the operator's console of the recorder."""
