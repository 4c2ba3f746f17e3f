"""Values that depend on the flow time alone, computed once per sequence of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from pi0_ros.model import flow
from pi0_ros.model.inference.packing import LayerNorms, Modulation, PackedStack
from pi0_ros.model.pi0 import Pi0


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseStep:
    """One Euler step of length ``delta`` (negative): the expert's norms at its time.

    ``time_bias`` (width,), π0 only: the time's term inside the action MLP.
    """

    delta: float
    norms: Sequence[LayerNorms]
    final: Modulation
    time_bias: Tensor | None


class Schedule:
    """The steps through ``times``; :meth:`refresh` recomputes them in place.

    ``action_weight`` (width, D), π0 only: the product of the action projection and of the
    action half of the MLP's first matrix, which follows it directly.
    """

    def __init__(self, model: Pi0, expert: PackedStack, times: Sequence[float]) -> None:
        self._model = model
        weight = model.action_in_proj.weight
        self._times = torch.tensor(times[:-1], dtype=torch.float32, device=weight.device)
        self._table = self._compute()
        self._gates = self._table[:, :, 2].to(expert.dtype) if model.config.pi05 else None
        self.action_weight = None if model.config.pi05 else self._fold()
        deltas = [t_next - t for t, t_next in pairwise(times)]
        self.steps = tuple(self._step(expert, index, delta) for index, delta in enumerate(deltas))

    def refresh(self) -> None:
        """Computes the table again, into the same memory."""
        self._table.copy_(self._compute())
        if self._gates is not None:
            self._gates.copy_(self._table[:, :, 2])
        if self.action_weight is not None:
            self.action_weight.copy_(self._fold())

    def _fold(self) -> Tensor:
        model = self._model
        actions_half = model.action_time_mlp_in.weight[:, : model.config.expert.width]
        return actions_half @ model.action_in_proj.weight

    def _compute(self) -> Tensor:
        """π0: (steps, width). π0.5: (steps, norms, 3, width): 1 + scale, shift, gate."""
        model, config = self._model, self._model.config
        embedded = flow.time_embedding(
            self._times, config.expert.width, config.min_period, config.max_period
        )
        if not config.pi05:
            mlp, width = model.action_time_mlp_in, config.expert.width
            constant = mlp.bias + mlp.weight[:, :width] @ model.action_in_proj.bias
            return linear(embedded, mlp.weight[:, width:], constant)
        condition = silu(model.time_mlp_out(silu(model.time_mlp_in(embedded))))
        norms = [
            norm
            for layer in model.expert.blocks
            for norm in (layer.input_layernorm, layer.post_attention_layernorm)
        ]
        rows = [
            norm.get_submodule("dense")(condition).float() for norm in (*norms, model.expert.norm)
        ]
        table = torch.stack(rows, dim=1).view(len(embedded), len(rows), 3, config.expert.width)
        table[:, :, 0] += 1
        return table

    def _step(self, expert: PackedStack, index: int, delta: float) -> DenoiseStep:
        row = self._table[index]
        if self._gates is None:
            if expert.norms is None or expert.final is None:
                raise ValueError("π0 needs an expert with plain norms, this one is adaptive")
            return DenoiseStep(delta=delta, norms=expert.norms, final=expert.final, time_bias=row)
        norms = [
            Modulation(scale=scale, shift=shift, gate=gate, arithmetic=expert.arithmetic)
            for (scale, shift, _), gate in zip(row, self._gates[index], strict=True)
        ]
        pairs = list(zip(norms[:-1:2], norms[1:-1:2], strict=True))
        return DenoiseStep(delta=delta, norms=pairs, final=norms[-1], time_bias=None)
