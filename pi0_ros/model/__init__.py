"""The network and nothing else: π0 and π0.5 at every size."""

from pi0_ros.model.config import ConfigError, GemmaConfig, Pi0Config, VisionConfig, variant
from pi0_ros.model.flops import Flops
from pi0_ros.model.initialise import random_pi0
from pi0_ros.model.pi0 import Pi0, Prefix

__all__ = [
    "ConfigError",
    "Flops",
    "GemmaConfig",
    "Pi0",
    "Pi0Config",
    "Prefix",
    "VisionConfig",
    "random_pi0",
    "variant",
]
