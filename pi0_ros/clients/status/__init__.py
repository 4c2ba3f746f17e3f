"""``pi0 status``: what a running suite says about itself, on one screen.

``model`` and ``hearing`` know no ROS: messages in, one frozen :class:`Snapshot` out.
``screen`` draws it, ``client`` listens to the graph.
"""
