"""What the demonstration watches, and the pictures and figures it makes of that."""
