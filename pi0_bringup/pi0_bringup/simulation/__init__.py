"""Simulated scenes and the loop that runs them, without ROS.

Importing this package chooses MuJoCo's OpenGL back end, because MuJoCo reads ``MUJOCO_GL`` only
when it is imported itself.
"""

from __future__ import annotations

from pi0_bringup.simulation.opengl import choose_backend

choose_backend()
