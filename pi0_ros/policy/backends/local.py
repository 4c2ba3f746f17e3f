"""The network in this process, on the CPU or one GPU."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from pi0_ros.checkpoint import CheckpointManifest, check_compatibility, load, load_manifest
from pi0_ros.embodiment import Embodiment
from pi0_ros.model import Inputs, Pi0, Pi0Small
from pi0_ros.model.guidance import Continuation, Guidance, Inpainting, prefix_weights
from pi0_ros.model.inference import Context, Sampler
from pi0_ros.policy.backends.small import SmallSampler
from pi0_ros.policy.backends.stage_watch import StageWatch
from pi0_ros.policy.errors import IncompatibleError, PolicyError
from pi0_ros.policy.options import InferenceOptions, RtcOptions
from pi0_ros.policy.pipeline import ModelInputs, Pipeline
from pi0_ros.policy.types import Chunk, Observation, RemainingActions

# The second pass no longer allocates memory. Its prompt has another length, after which
# compiled code accepts any length.
_WARM_UP_PROMPTS = ("warm up", "warm up once more")


class Network(Protocol):
    """A sampler of chunks; tensors may be on any device."""

    def prefill(self, inputs: Inputs) -> Any:
        """The part of the network that depends on cameras and prompt alone."""

    def sample_actions(
        self, prefix: Any, state: torch.Tensor, noise: torch.Tensor, num_steps: int, /
    ) -> torch.Tensor:
        """Normalised actions (B, H, D)."""


class LocalPolicy:
    """A checkpoint loaded, checked against the embodiment and warmed up.

    Raises :class:`~pi0_ros.checkpoint.CheckpointError` for a checkpoint that cannot
    be read and :class:`IncompatibleError` for one that does not fit the embodiment; there
    is no fallback.
    """

    def __init__(
        self,
        checkpoint: Path | str,
        embodiment: Embodiment,
        options: InferenceOptions | None = None,
    ) -> None:
        self._options = options or InferenceOptions()
        self._device = _device(self._options.device)
        if self._options.threads:
            torch.set_num_threads(self._options.threads)
        _check_fit(load_manifest(checkpoint), embodiment)
        loaded = load(checkpoint, device=self._device)
        _check_fit(loaded.manifest, embodiment)  # the folder may have changed in between
        self.checkpoint_id: str = loaded.checkpoint_id
        self.trained: bool = loaded.manifest.trained
        self._pipeline = Pipeline.of(loaded.manifest, loaded.tokenizer_path, embodiment)
        self._model, towers = _network(loaded.model)
        self._watch = StageWatch(towers, self._device)
        self._noise_shape = (1, loaded.manifest.horizon, loaded.manifest.model.action_dim)
        self._generator = torch.Generator(device=self._device)
        self._warm_up(example_observation(embodiment, self.image_size))
        if self._options.seed >= 0:
            self._generator.manual_seed(self._options.seed)
        else:
            self._generator.seed()

    @property
    def image_size(self) -> int:
        """Side of the views the model takes [pixels]."""
        return self._pipeline.image_size

    @property
    def can_continue(self) -> bool:
        """True for π0 and π0.5."""
        return isinstance(self._model, Sampler)

    def infer(self, observation: Observation, remaining: RemainingActions | None = None) -> Chunk:
        """Compute a chunk; ``total`` is measured from here. Raises :class:`PolicyError`."""
        watch = self._watch
        watch.restart()
        inputs = batch_of_one(self._pipeline.prepare(observation))
        state = inputs.state
        watch.mark("preprocess")
        prefix = self._model.prefill(inputs)
        watch.mark("prefix")
        noise = torch.randn(self._noise_shape, generator=self._generator, device=self._device)
        steps = self._options.num_steps
        if remaining is None:
            sampled = self._model.sample_actions(prefix, state, noise, steps)
            if self._options.continuing is not None and _is_newly_captured(prefix):
                self._capture_continuing(prefix, state, noise, observation)
        else:
            onward = self._continuation(remaining, observation)
            sampled = self._sampler.continue_actions(prefix, state, noise, onward, steps)
        output = sampled[0].float().cpu().numpy()
        watch.mark("denoise")
        actions = self._pipeline.actions(output, observation.state)
        watch.mark("postprocess")
        return Chunk(actions=actions, stage_ms=watch.stage_ms())

    def _warm_up(self, example: Observation) -> None:
        """Includes a backward pass: the first one is slow and would delay a moving robot."""
        for prompt in _WARM_UP_PROMPTS:
            chunk = self.infer(replace(example, prompt=prompt))
        if self._options.continuing is not None and self.can_continue:
            self.infer(
                example,
                RemainingActions(actions=chunk.actions, delay=1, options=self._options.continuing),
            )

    def _capture_continuing(
        self, prefix: Context, state: torch.Tensor, noise: torch.Tensor, observation: Observation
    ) -> None:
        """Captures the graph of a continued chunk along with the first chunk of a prompt length.

        It takes a second, which would otherwise delay the chunk that continues a motion.
        """
        if self._options.continuing is not None:
            nothing = np.zeros((0, len(self._pipeline.embodiment.action)), dtype=np.float32)
            remaining = RemainingActions(actions=nothing, delay=0, options=self._options.continuing)
            onward = self._continuation(remaining, observation)
            self._sampler.continue_actions(prefix, state, noise, onward, self._options.num_steps)

    @property
    def _sampler(self) -> Sampler:
        if isinstance(self._model, Sampler):
            return self._model
        raise PolicyError("π0-small cannot continue a chunk; use strategy:=sequential")

    def _continuation(self, remaining: RemainingActions, observation: Observation) -> Continuation:
        """The old chunk's absolute actions in model space, relative to the current state."""
        _, horizon, width = self._noise_shape
        rows = len(remaining.actions)
        target = np.zeros((1, horizon, width), dtype=np.float32)
        target[0, :rows] = self._pipeline.targets(
            remaining.actions.astype(np.float64), observation.state
        )
        executed = torch.from_numpy(self._pipeline.executed)
        return continuation(
            torch.from_numpy(target), executed, remaining.delay, rows, remaining.options
        )


def batch_of_one(sample: ModelInputs) -> Inputs:
    """Inputs of the network on the host; the sampler moves them to the device."""
    tensors = {f.name: torch.from_numpy(getattr(sample, f.name))[None] for f in fields(sample)}
    return Inputs(**tensors)


def example_observation(embodiment: Embodiment, size: int) -> Observation:
    """A synthetic observation for warm-up and tests: grey views, zero state."""
    return Observation(
        images=np.full((sum(embodiment.slot_mask), size, size, 3), 128, dtype=np.uint8),
        slot_mask=embodiment.slot_mask,
        state=np.zeros(len(embodiment.state)),
        prompt=_WARM_UP_PROMPTS[0],
        stamp_ns=0,
    )


def continuation(
    target: torch.Tensor, executed: torch.Tensor, delay: int, rows: int, options: RtcOptions
) -> Continuation:
    """The continuation of ``target`` (B, H, D), whose first ``rows`` rows are valid.

    ``executed`` (D,) bool is false in padded dimensions; the first ``delay`` rows are frozen.
    """
    horizon = target.shape[1]
    if options.mode == "prefix":
        frozen = torch.arange(horizon) < delay
        return Inpainting(target=target, mask=frozen[:, None] & executed)
    weights = prefix_weights(options.schedule, delay=delay, end=rows, horizon=horizon)
    return Guidance(
        target=target,
        weights=weights[:, None] * executed,
        max_guidance=options.max_guidance,
    )


def _network(model: Pi0 | Pi0Small) -> tuple[Network, tuple[torch.nn.Module, ...]]:
    """The sampler of a network, and its vision towers."""
    if isinstance(model, Pi0Small):
        return SmallSampler(model.eval()), tuple(model.vision)
    sampler = Sampler.on_device(model.eval())
    return sampler, (sampler.vision,)


def _is_newly_captured(prefix: Any) -> bool:
    """Whether this is the first observation of its shape on a GPU."""
    return isinstance(prefix, Context) and prefix.graph is not None and prefix.replay == 1


def _check_fit(manifest: CheckpointManifest, embodiment: Embodiment) -> None:
    """Refuse a checkpoint of another robot before its weights are read, which takes a minute."""
    problems = check_compatibility(manifest, embodiment)
    if problems:
        raise IncompatibleError(
            f"checkpoint {manifest.name} does not fit {embodiment.name}: " + "; ".join(problems),
            problems,
        )


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise PolicyError(f"device is {name!r}; use cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise PolicyError(f"device is {name!r}; use cpu, cuda or cuda:N")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise PolicyError(f"device is {name!r} and no GPU is usable here; use device:=cpu")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise PolicyError(f"device is {name!r} and GPUs here end at cuda:{count - 1}; use that")
    return device
