"""Fast sampling with the parameters of a :class:`pi0_ros.model.Pi0`.

Nothing here can be trained. The plain network defines the numbers.
"""

from pi0_ros.model.inference.arithmetic import can_compile
from pi0_ros.model.inference.graphs import GraphCache, cuda_capture
from pi0_ros.model.inference.kv_cache import Context
from pi0_ros.model.inference.padding import PrefixLayout, drop_padding
from pi0_ros.model.inference.sampler import Sampler

__all__ = [
    "Context",
    "GraphCache",
    "PrefixLayout",
    "Sampler",
    "can_compile",
    "cuda_capture",
    "drop_padding",
]
