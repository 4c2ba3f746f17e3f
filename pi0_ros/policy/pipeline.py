"""The transforms of one checkpoint on one embodiment, in order.

Input: views are put in their slots; the state is converted to the checkpoint's conventions,
normalised and padded; the prompt becomes tokens. Output: actions are unpadded, unnormalised, made
absolute and converted to the robot's conventions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.checkpoint import CheckpointManifest, Normalisation, Statistics
from pi0_ros.embodiment import CAMERA_SLOTS, Embodiment
from pi0_ros.embodiment.packing import pad_action, pad_state, unpad_action
from pi0_ros.policy.aloha import RobotTransform, robot_transforms
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.tokens import PromptTokenizer, Tokenizer, Tokens
from pi0_ros.policy.transforms import (
    DeltaActions,
    Quantile,
    ZScore,
    clean_prompt,
    place_views,
    state_prompt,
)
from pi0_ros.policy.types import Observation
from pi0_ros.policy.wordpiece import WordPieceTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInputs:
    """The inputs of the network, without the batch dimension.

    ``images`` float32 (V, 3, size, size), ``image_mask`` (V,), ``tokens`` int64 (L,),
    ``token_mask`` (L,), ``state`` float32 (D,).
    """

    images: NDArray[np.float32]
    image_mask: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    token_mask: NDArray[np.bool_]
    state: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Converts observations to model inputs and model outputs to actions. Build with :meth:`of`."""

    embodiment: Embodiment
    width: int
    image_size: int
    view_order: tuple[int, ...]
    state_in_prompt: bool
    state_norm: ZScore | Quantile
    action_norm: ZScore | Quantile
    robot_state: RobotTransform
    robot_actions: RobotTransform
    delta: DeltaActions
    tokenizer: Tokenizer

    @classmethod
    def of(
        cls, manifest: CheckpointManifest, tokenizer_path: Path, embodiment: Embodiment
    ) -> Pipeline:
        """The pipeline of a checkpoint that fits the embodiment.

        Raises :class:`PolicyError` for a transform that does not fit this robot.
        """
        model = manifest.model
        wordpiece = manifest.tokenizer_kind == "wordpiece"
        kind = WordPieceTokenizer if wordpiece else PromptTokenizer
        robot_state, robot_actions = robot_transforms(manifest.robot_transform, embodiment)
        return cls(
            embodiment=embodiment,
            width=model.action_dim,
            image_size=model.vision.image_size,
            view_order=_view_order(manifest),
            state_in_prompt=manifest.state_in_prompt,
            state_norm=_normaliser(manifest.normalisation, manifest.normalisation.state),
            action_norm=_normaliser(manifest.normalisation, manifest.normalisation.actions),
            robot_state=robot_state,
            robot_actions=robot_actions,
            delta=DeltaActions.of(embodiment, manifest.delta_mask),
            tokenizer=kind(tokenizer_path, max_tokens=model.max_tokens, vocab=model.vocab),
        )

    def prepare(self, observation: Observation) -> ModelInputs:
        """The model inputs. Raises :class:`PolicyError` naming what does not fit."""
        if observation.slot_mask != self.embodiment.slot_mask:
            raise PolicyError(
                f"views in slots {observation.slot_mask}, {self.embodiment.name} has"
                f" {self.embodiment.slot_mask} of {CAMERA_SLOTS}"
            )
        size = self.image_size
        if observation.images.shape[1:3] != (size, size):
            raise PolicyError(
                f"views are {observation.images.shape[1:3]}, the model takes ({size}, {size});"
                f" start camera_sync with image_size:={size}"
            )
        state = observation.state
        if state.shape != (len(self.embodiment.state),) or not np.isfinite(state).all():
            raise PolicyError(
                f"state is {state.tolist()}; {len(self.embodiment.state)} finite numbers expected"
            )
        images, image_mask = place_views(observation.images, observation.slot_mask, self.view_order)
        normalised = self.state_norm.forward(self.robot_state.forward(state))
        tokens, token_mask = self._tokens(observation.prompt, normalised)
        return ModelInputs(
            images=images,
            image_mask=image_mask,
            tokens=tokens,
            token_mask=token_mask,
            state=pad_state(self.embodiment, normalised, self.width).astype(np.float32),
        )

    def actions(self, output: NDArray[np.float32], state: FloatArray) -> NDArray[np.float32]:
        """Model output (H, D) and the observed state (S,) to actions (H, A).

        Raises :class:`PolicyError` if any is not finite.
        """
        normalised = unpad_action(self.embodiment, output.astype(np.float64))
        base = self.robot_state.forward(state)
        absolute = self.delta.inverse(self.action_norm.inverse(normalised), base)
        with np.errstate(
            over="ignore"
        ):  # a value that is too large becomes infinite, and is refused
            actions = self.robot_actions.inverse(absolute).astype(np.float32)
        finite = np.isfinite(actions)
        if not finite.all():
            names = np.array(self.embodiment.action_names)[~finite.all(axis=0)]
            raise PolicyError(f"the model's output is not finite in {', '.join(names)}")
        return actions

    def targets(self, actions: FloatArray, state: FloatArray) -> NDArray[np.float32]:
        """The training targets (H, D): the inverse of :meth:`actions`.

        actions (H, A) and state (S,) in embodiment units.
        """
        base = self.robot_state.forward(state)
        relative = self.delta.forward(self.robot_actions.forward(actions), base)
        normalised = self.action_norm.forward(relative)
        return pad_action(self.embodiment, normalised, self.width).astype(np.float32)

    @property
    def executed(self) -> NDArray[np.bool_]:
        """Which of the D model dimensions are actions of the robot; the others are padding."""
        ones = np.ones(len(self.embodiment.action))
        return pad_action(self.embodiment, ones, self.width) > 0.0

    def _tokens(self, prompt: str, normalised_state: FloatArray) -> Tokens:
        text = clean_prompt(prompt)
        if self.state_in_prompt:
            return self.tokenizer.encode_whole(state_prompt(text, normalised_state))
        return self.tokenizer.encode_task(text)


def _view_order(manifest: CheckpointManifest) -> tuple[int, ...]:
    """Indices of an observation's views in the manifest's order; views come in slot order."""
    observed = [slot for slot in CAMERA_SLOTS if slot in manifest.cameras]
    return tuple(observed.index(slot) for slot in manifest.cameras)


def _normaliser(normalisation: Normalisation, statistics: Statistics) -> ZScore | Quantile:
    eps, inverse_eps = normalisation.eps, normalisation.inverse_eps
    if normalisation.kind == "zscore":
        return ZScore(np.array(statistics.mean), np.array(statistics.std), eps, inverse_eps)
    return Quantile(np.array(statistics.q01), np.array(statistics.q99), eps, inverse_eps)
