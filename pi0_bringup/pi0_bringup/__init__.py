"""What stands around the policy on one site: robots without hardware, bring-up, demonstration."""
