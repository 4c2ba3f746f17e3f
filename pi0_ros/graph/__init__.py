"""The process graph: declared once, started by ``pi0 up`` or by ``ros2 launch``."""
