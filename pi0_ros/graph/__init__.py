"""The process graph, declared once and started by ``pi0 up`` or ``ros2 launch``."""
