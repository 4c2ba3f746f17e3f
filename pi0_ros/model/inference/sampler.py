"""Samples a chunk without the computations that cannot change it.

Shapes as in :mod:`pi0_ros.model.pi0`; P' kept prefix tokens, see
:mod:`pi0_ros.model.inference.padding`. This module decides and caches on the host;
:mod:`pi0_ros.model.inference.forward_passes` runs on the device.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding, pad

from pi0_ros.model import flow
from pi0_ros.model.flops import Flops, reduced_flops
from pi0_ros.model.guidance import Continuation
from pi0_ros.model.inference.arithmetic import PLAIN, can_compile, compiled
from pi0_ros.model.inference.forward_passes import ForwardPasses
from pi0_ros.model.inference.graphs import GraphCache, cuda_capture
from pi0_ros.model.inference.kv_cache import Context, KVCache
from pi0_ros.model.inference.packing import PackedVision
from pi0_ros.model.inference.padding import PrefixLayout, drop_padding
from pi0_ros.model.inference.schedule import Schedule
from pi0_ros.model.inputs import Inputs
from pi0_ros.model.pi0 import Pi0

_logger = logging.getLogger(__name__)

# Masked keys get this logit, not minus infinity, so that a row of masked keys stays finite.
_HIDDEN = -1e30
_RECURRING_MULTIPLE = 8
_CACHED_SHAPES = 16
_CACHED_PROMPTS = 16
_CACHED_SCHEDULES = 4


class Sampler:
    """Samples chunks from the parameters of ``model``, without gradients. One caller at a time.

    The model must already be on the device that is to run it. If ``packed`` (by default on a
    GPU), parameters are packed in place and keep their names; change them by
    :meth:`copy_weights_from`, never by assignment. With ``graphs``, computations at batch 1 are
    captured per shape. Prompts are rounded up to a ``multiple`` of tokens so that shapes recur;
    by default only those of π0.5 are, since they change with the state. ``compile`` fuses the
    operations between the matrix products: it takes seconds at the first two shapes and is not
    meant for CPUs.
    """

    def __init__(
        self,
        model: Pi0,
        *,
        graphs: GraphCache | None = None,
        packed: bool | None = None,
        multiple: int | None = None,
        compile: bool = False,
    ) -> None:
        self.model = model
        self.config = model.config
        self.graphs = graphs
        packed = self._device.type != "cpu" if packed is None else packed
        self._passes = ForwardPasses(
            model,
            packed=packed,
            arithmetic=compiled() if compile else PLAIN,
            # A captured graph cannot run a caller's hooks, which may wait for the device.
            hooks=graphs is None,
        )
        recurring = graphs is not None and self.config.pi05
        self._multiple = multiple or (_RECURRING_MULTIPLE if recurring else 1)
        self._prompts: OrderedDict[tuple[tuple[int, ...], ...], Tensor] = OrderedDict()
        self._schedules: OrderedDict[tuple[float, ...], Schedule] = OrderedDict()

    @classmethod
    def on_device(cls, model: Pi0) -> Sampler:
        """A sampler with CUDA graphs of compiled code on a GPU, a plain one elsewhere."""
        device = model.action_in_proj.weight.device
        if device.type != "cuda":
            return cls(model)
        if not can_compile(device):
            _logger.warning("no Triton or no C compiler: chunks take longer; install gcc")
        recorded = GraphCache(cuda_capture(device), capacity=_CACHED_SHAPES)
        return cls(model, graphs=recorded, compile=can_compile(device))

    @torch.no_grad()
    def prefill(self, inputs: Inputs) -> Context:
        """Runs the valid tokens of the prefix. ``inputs`` may be on any device.

        Images may also be uint8, 0 to 255. With masks and tokens on the host, the host need not
        wait for the device. With graphs, a context can be used until the next prefill.
        """
        inputs.check_prefix(self.config.vision.image_size)
        layout = drop_padding(
            inputs.image_mask,
            inputs.tokens,
            inputs.token_mask,
            view_tokens=self.config.vision.tokens,
            multiple=self._multiple,
        )
        slots = layout.slots(inputs.images.device)
        seen = inputs.images[slots].to(self._device, non_blocking=True)
        tensors = [seen, self._prompt(layout), *self._placement(layout)]
        if self.graphs is None or len(layout.tokens) > 1:
            return Context(cache=self._passes.prefix(layout, *tensors), batch=len(layout.tokens))
        key = (layout.bucket, seen.dtype)
        graph = self.graphs.capture(key, lambda *t: self._passes.prefix(layout, *t), tensors)
        cache: KVCache = graph.run(tensors)
        return Context(cache=cache, batch=1, graph=graph, replay=graph.replays)

    @torch.no_grad()
    def sample_actions(
        self,
        context: Context,
        state: Tensor,
        noise: Tensor,
        num_steps: int = 10,
        times: Sequence[float] | None = None,
    ) -> Tensor:
        """Normalised actions (B, H, D) by ``num_steps`` Euler steps, or those of ``times``."""
        self.model.check_suffix(state, noise, context.batch)
        schedule = self._schedule(flow.euler_times(num_steps) if times is None else tuple(times))
        inputs = [t.to(self._device, non_blocking=True) for t in (state, noise)]

        def denoise(state: Tensor, noise: Tensor) -> Tensor:
            return self._passes.denoise(context.cache, schedule, state, noise)

        # A captured graph reads the schedule's memory; as its key, the schedule lives as long.
        return self._replayed(context, schedule, denoise, inputs)

    @torch.no_grad()
    def continue_actions(
        self,
        context: Context,
        state: Tensor,
        noise: Tensor,
        continuation: Continuation,
        num_steps: int = 10,
    ) -> Tensor:
        """Normalised actions (B, H, D) that continue another chunk, by ``num_steps`` steps.

        Graphs capture it like plain sampling, with the backward passes.
        """
        self.model.check_suffix(state, noise, context.batch)
        times = flow.euler_times(num_steps)
        schedule = self._schedule(times)
        steps = dict(zip(times, schedule.steps, strict=False))

        def denoise(state: Tensor, noise: Tensor, *tensors: Tensor) -> Tensor:
            self._passes.cache_state_token(context.cache, state)
            return continuation.on(tensors).integrate(
                lambda x, t: self._passes.velocity(context.cache, schedule, steps[t], x),
                noise,
                times,
            )

        inputs = [
            t.to(self._device, non_blocking=True) for t in (state, noise, *continuation.tensors)
        ]
        return self._replayed(context, (schedule, continuation.kind), denoise, inputs)

    def sample(
        self,
        inputs: Inputs,
        noise: Tensor,
        num_steps: int = 10,
        times: Sequence[float] | None = None,
    ) -> Tensor:
        """Normalised actions (B, H, D) from an observation and noise."""
        return self.sample_actions(self.prefill(inputs), inputs.state, noise, num_steps, times)

    @torch.no_grad()
    def copy_weights_from(self, other: Pi0) -> None:
        """Copies another network's weights; addresses stay, so captured graphs stay valid.

        Raises ValueError, with nothing copied, unless configuration and dtypes are equal.
        """
        if other.config != self.config:
            raise ValueError(f"config is {other.config}: this sampler runs {self.config}")
        pairs = list(zip(self.model.parameters(), other.parameters(), strict=True))
        if any(mine.dtype != theirs.dtype for mine, theirs in pairs):
            raise ValueError("dtypes differ: cast the other network as this one was cast")
        for mine, theirs in pairs:
            mine.copy_(theirs, non_blocking=True)
        self._passes.refresh()
        for schedule in self._schedules.values():
            schedule.refresh()
        self._prompts.clear()

    def estimate_flops(
        self, *, views: int = 3, num_steps: int = 10, prompt_tokens: int | None = None
    ) -> Flops:
        """Operations of this sampler for a chunk; prompt padding does not count."""
        return reduced_flops(
            self.config, views=views, num_steps=num_steps, prompt_tokens=prompt_tokens
        )

    def weight_bytes(self) -> int:
        """Bytes of all parameters at their present dtypes."""
        return self.model.weight_bytes()

    @property
    def vision(self) -> PackedVision:
        """The vision tower that is run; a caller's hooks on it run only without graphs."""
        return self._passes.vision

    @property
    def _device(self) -> torch.device:
        return self.model.action_in_proj.weight.device

    def _prompt(self, layout: PrefixLayout) -> Tensor:
        """Embedded text (B, L', W), cached."""
        known = self._prompts.get(layout.tokens)
        if known is None:
            tokens = torch.tensor(layout.tokens, dtype=torch.long).to(self._device)
            table = self.model.embed_tokens.weight
            known = embedding(tokens, table) * math.sqrt(self.config.backbone.width)
            self._prompts[layout.tokens] = known.to(self._passes.backbone.dtype)
            while len(self._prompts) > _CACHED_PROMPTS:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(layout.tokens)
        return self._prompts[layout.tokens]

    def _schedule(self, times: tuple[float, ...]) -> Schedule:
        if times not in self._schedules:
            self._schedules[times] = Schedule(self.model, self._passes.expert, times)
            while len(self._schedules) > _CACHED_SCHEDULES:
                self._schedules.popitem(last=False)
        self._schedules.move_to_end(times)
        return self._schedules[times]

    def _replayed(
        self, context: Context, key: Hashable, denoise: Callable[..., Tensor], inputs: list[Tensor]
    ) -> Tensor:
        """``denoise(*inputs)``, replayed from a graph if the context comes from one."""
        graph = context.graph
        if self.graphs is None or graph is None:
            return denoise(*inputs)
        if graph.replays != context.replay:
            raise ValueError("the context is of an earlier observation: prefill again")
        actions: Tensor = self.graphs.capture(key, denoise, inputs, of=graph).run(inputs)
        return actions.clone()

    def _placement(self, layout: PrefixLayout) -> list[Tensor]:
        """Positions of prefix and suffix, and the key bias where there is padding."""
        suffix = layout.lengths + torch.arange(self.config.suffix_tokens)
        tensors = [layout.positions, suffix]
        if not layout.complete:
            valid = pad(layout.valid, (0, self.config.suffix_tokens), value=True)
            bias = torch.zeros(valid.shape).masked_fill_(~valid, _HIDDEN)
            tensors.append(bias[:, None, None].to(self._passes.backbone.dtype))
        return [t.to(self._device, non_blocking=True) for t in tensors]
