"""The simulated ViperX pair of gym-aloha, without ROS.

Importing this package chooses MuJoCo's OpenGL back end, because MuJoCo reads
``MUJOCO_GL`` once, when it is imported.
"""

from __future__ import annotations

from pi0_bringup.simulation.opengl import choose_backend

choose_backend()
