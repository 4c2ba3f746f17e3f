"""The network and nothing else: π0 and π0.5 at every size, and π0-small."""

from pi0_ros.model.config import ConfigError, GemmaConfig, Pi0Config, VisionConfig, variant
from pi0_ros.model.empty_weights import init_empty_weights
from pi0_ros.model.flops import Flops
from pi0_ros.model.initialise import random_pi0
from pi0_ros.model.inputs import Inputs
from pi0_ros.model.pi0 import Pi0, Prefix
from pi0_ros.model.small import Pi0Small
from pi0_ros.model.small_config import SMALL, SMALL_TINY, SMALL_VARIANTS, Pi0SmallConfig
from pi0_ros.model.small_weights import random_pi0_small

__all__ = [
    "SMALL",
    "SMALL_TINY",
    "SMALL_VARIANTS",
    "ConfigError",
    "Flops",
    "GemmaConfig",
    "Inputs",
    "Pi0",
    "Pi0Config",
    "Pi0Small",
    "Pi0SmallConfig",
    "Prefix",
    "VisionConfig",
    "init_empty_weights",
    "random_pi0",
    "random_pi0_small",
    "variant",
]
