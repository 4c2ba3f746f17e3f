"""A scripted demonstrator of gym-aloha's cube transfer: waypoints, then joint motion."""
