"""``pi0 status``: the state of a running suite on one screen.

``suite_monitor`` turns messages into one frozen :class:`Snapshot`, and ``screen`` draws it. Neither
they nor ``model`` need a ROS graph; ``client`` subscribes to it.
"""
