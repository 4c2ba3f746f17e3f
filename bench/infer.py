"""Time from an observation to a chunk: roofline, stages, and a plain implementation.

All ways run in one process on the same weights and inputs, in turns, because the speed of a
shared machine varies. Only ratios of medians are meaningful on another machine. It exits with 1 if
the float32 actions of any way differ from the baseline's by more than 1e-4.

    python bench/infer.py [--size middle] [--device cpu] [--dtype float32] [--no-baseline]

Over 300 lines: all ways run in one process, on one set of inputs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from _baseline import sample_padded
from _roofline import Roofline, measure, synchronise
from torch import Tensor

from pi0_ros.model import (
    GemmaConfig,
    Inputs,
    Pi0,
    Pi0Config,
    VisionConfig,
    flow,
    random_pi0,
    variant,
)
from pi0_ros.model.gemma import AdaRMSNorm
from pi0_ros.model.inference import GraphCache, Sampler, can_compile, cuda_capture

TOLERANCE = 1e-4
SLOTS = 3
WORDS = 12
MIDDLE = Pi0Config(
    vision=VisionConfig(width=384, depth=6, mlp=1536, heads=6),
    backbone=GemmaConfig(width=512, depth=8, mlp=2048, heads=8, kv_heads=1, head_dim=64),
    expert=GemmaConfig(width=256, depth=8, mlp=1024, heads=8, kv_heads=1, head_dim=64),
    vocab=4096,
)
#: The way that :meth:`Sampler.on_device` uses on a GPU, and ways that not every machine has.
BEST = "sampler, graphs, compiled"
OPTIONAL = ("sampler, compiled", "sampler, graphs", BEST)
#: Milliseconds of every run, by name of the way.
Samples = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One padded observation on the host, and the noise of a chunk."""

    inputs: Inputs
    noise: Tensor

    def to(self, device: torch.device) -> Observation:
        return Observation(inputs=self.inputs.to(device), noise=self.noise.to(device))

    def dropped(self) -> Observation:
        """Without absent cameras and prompt padding (batch 1)."""
        views, words = self.inputs.image_mask[0], self.inputs.token_mask[0]
        inputs = replace(
            self.inputs,
            images=self.inputs.images[:, views],
            image_mask=self.inputs.image_mask[:, views],
            tokens=self.inputs.tokens[:, words],
            token_mask=self.inputs.token_mask[:, words],
        )
        return replace(self, inputs=inputs)


def main() -> int:
    """Measures, prints tables, ends with one line of JSON."""
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    dtype = torch.bfloat16 if args.dtype == "bfloat16" else torch.float32
    model = build(args.size, device=device, dtype=dtype, pi05=args.pi05)
    # Packing moves the weights, so it comes first.
    packing = Sampler(model, packed=True)
    sampler = Sampler(model, packed=False)
    observation = observe(model.config, views=args.views)

    roofline = measure(device, dtype)
    flops = sampler.estimate_flops(views=args.views, num_steps=args.steps, prompt_tokens=WORDS)
    floor = roofline.floor_ms(flops, model, steps=args.steps)
    print_roofline(roofline, floor, model, flops.total)

    ways = compared(sampler, packing, observation, steps=args.steps, baseline=args.baseline)
    differences = compare({name: way() for name, way in ways.items()})
    stages = staged(sampler, observation, args.steps)
    samples = in_turns({**ways, **stages}, args.repeats, device)
    whole = {name: samples[name] for name in ways}
    padded = model.estimate_flops(num_steps=args.steps)
    result = {
        "bench": "infer",
        **vars(args),
        "machine": roofline.name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "tflop": flops.total / 1e12,
        "tflop_padded": padded.total / 1e12,
        "weight_bytes": model.weight_bytes(),
        "floor_ms": sum(floor.values()),
        "stages_ms": stage_medians(samples),
        "p50_ms": {name: percentile(sample, 50) for name, sample in whole.items()},
        "p99_ms": {name: percentile(sample, 99) for name, sample in whole.items()},
        "ratio": ratio(whole),
        "differences": differences,
    }
    print_result(result)
    print(json.dumps(result))
    return verdict(differences, exact=dtype == torch.float32)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="middle", choices=("tiny", "middle", "pi0"))
    parser.add_argument("--pi05", action="store_true", help="the π0.5 form of that size")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--views", type=int, default=2, help=f"cameras present, of {SLOTS}")
    parser.add_argument("--steps", type=int, default=10, help="Euler steps (default: 10)")
    parser.add_argument("--repeats", type=int, default=15, help="runs of each (default: 15)")
    parser.add_argument("--threads", type=int, default=0, help="torch threads (default: its own)")
    parser.add_argument(
        "--baseline",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare with the plain padded implementation",
    )
    return parser.parse_args()


def build(size: str, *, device: torch.device, dtype: torch.dtype, pi05: bool) -> Pi0:
    """A network with random weights. The gates of adaptive norms are not zero."""
    config = replace(MIDDLE if size == "middle" else variant(size), pi05=pi05)
    model = random_pi0(config).requires_grad_(False)
    for norm in (m for m in model.modules() if isinstance(m, AdaRMSNorm)):
        norm.dense.weight.normal_(std=0.3 * config.expert.width**-0.5)
        norm.dense.bias.normal_(std=0.3)
    if dtype == torch.bfloat16:
        model.to_bfloat16()
    return model.to(device)


def observe(config: Pi0Config, *, views: int) -> Observation:
    """Random images in all slots, the first ``views`` of them present; a padded prompt."""
    generator, size = torch.Generator().manual_seed(0), config.vision.image_size
    return Observation(
        inputs=Inputs(
            images=torch.rand(1, SLOTS, 3, size, size, generator=generator) * 2 - 1,
            image_mask=(torch.arange(SLOTS) < views)[None],
            tokens=torch.randint(0, config.vocab, (1, config.max_tokens), generator=generator),
            token_mask=(torch.arange(config.max_tokens) < WORDS)[None],
            state=torch.randn(1, config.action_dim, generator=generator),
        ),
        noise=torch.randn(1, config.action_horizon, config.action_dim, generator=generator),
    )


def compared(
    sampler: Sampler, packing: Sampler, x: Observation, *, steps: int, baseline: bool
) -> dict[str, Callable[[], Tensor]]:
    """Ways from a host observation to host actions, from the plain to the fastest."""
    model, device = sampler.model, sampler.model.action_in_proj.weight.device
    times = flow.euler_times(steps)

    def padded() -> Tensor:
        there = x.to(device)
        return sample_padded(model, there.inputs, there.noise, times).cpu()

    def plain(observation: Observation) -> Tensor:
        there = observation.to(device)
        return model.sample(there.inputs, there.noise, times=times).cpu()

    def fast(sampler: Sampler) -> Tensor:
        return sampler.sample(x.inputs, x.noise, times=times).cpu()

    ways: dict[str, Callable[[], Tensor]] = {"baseline": padded} if baseline else {}
    ways["plain network"] = lambda: plain(x)
    ways["plain, dropped"] = lambda: plain(x.dropped())
    ways["sampler"] = lambda: fast(sampler)
    ways["sampler, packed"] = lambda: fast(packing)
    if can_compile(device):
        fused = Sampler(model, packed=True, compile=True)
        ways["sampler, compiled"] = lambda: fast(fused)
    if device.type == "cuda":
        for name, fuse in (("sampler, graphs", False), (BEST, True)):
            if fuse <= can_compile(device):
                graphs = GraphCache(cuda_capture(device))
                recording = Sampler(model, graphs=graphs, packed=True, compile=fuse)
                ways[name] = partial(fast, recording)
    return ways


def staged(sampler: Sampler, x: Observation, steps: int) -> dict[str, Callable[[], object]]:
    """The sampler's stages separately, without graphs; ``host``: copies to the device and back."""
    device = sampler.model.action_in_proj.weight.device
    there = x.dropped().to(device)
    context = sampler.prefill(there.inputs)
    images = there.inputs.images.flatten(0, 1)

    @torch.no_grad()
    def vision() -> Tensor:
        return sampler.vision(images)

    return {
        "vision": vision,
        "prefill": lambda: sampler.prefill(there.inputs),
        "denoise": lambda: sampler.sample_actions(context, there.inputs.state, there.noise, steps),
        "host": lambda: (x.dropped().to(device), there.noise.cpu()),
    }


def in_turns(
    functions: dict[str, Callable[[], object]], repeats: int, device: torch.device
) -> Samples:
    """Wall times [ms], one run of each function after the other; the clock waits for the device."""
    samples: Samples = {name: [] for name in functions}
    for turn in range(repeats + 2):
        for name, function in functions.items():
            synchronise(device)
            start = time.perf_counter()
            function()
            synchronise(device)
            if turn >= 2:
                samples[name].append(1e3 * (time.perf_counter() - start))
    return samples


def stage_medians(samples: Samples) -> dict[str, float]:
    """Medians by stage; ``prefix`` is what vision leaves of the prefill of the same turn."""
    rest = [p - v for p, v in zip(samples["prefill"], samples["vision"], strict=True)]
    return {
        "vision": statistics.median(samples["vision"]),
        "prefix": statistics.median(rest),
        "denoise": statistics.median(samples["denoise"]),
        "host": statistics.median(samples["host"]),
    }


def ratio(whole: Samples) -> float | None:
    """Median of the fastest way over the median of the baseline."""
    if "baseline" not in whole:
        return None
    best = whole.get(BEST, whole["sampler"])
    return statistics.median(best) / statistics.median(whole["baseline"])


def compare(actions: dict[str, Tensor]) -> dict[str, float]:
    """Largest absolute difference of every way's actions from the first one's."""
    reference = next(iter(actions.values()))
    return {name: float((a - reference).abs().max()) for name, a in actions.items()}


def percentile(sample: list[float], percent: float) -> float:
    """Nearest-rank percentile."""
    ordered = sorted(sample)
    return ordered[round(percent / 100 * (len(ordered) - 1))]


def verdict(differences: dict[str, float], *, exact: bool) -> int:
    """1 if actions differ that must agree."""
    wrong = {n: d for n, d in differences.items() if not d <= TOLERANCE}
    if exact and wrong:
        print(f"actions differ by more than {TOLERANCE}: {wrong}", file=sys.stderr)
        return 1
    return 0


def print_roofline(roofline: Roofline, floor: dict[str, float], model: Pi0, flops: int) -> None:
    """Print the lower bounds that the machine allows."""
    print(
        f"{roofline.name}: {roofline.flop_s / 1e9:,.0f} GFLOP/s, "
        f"{roofline.bytes_s / 1e9:,.0f} GB/s ({roofline.source})"
    )
    print(f"weights {model.weight_bytes() / 1e9:.2f} GB, {flops / 1e12:.3f} TFLOP a chunk")
    stages = ", ".join(f"{stage} {duration:.1f}" for stage, duration in floor.items())
    print(f"floor {sum(floor.values()):.1f} ms: {stages}\n")


def print_result(result: dict[str, object]) -> None:
    """The tables."""
    stages, p50, p99, differences = (
        result[key] for key in ("stages_ms", "p50_ms", "p99_ms", "differences")
    )
    for stage, duration in stages.items():
        print(f"{stage:<26}{duration:>9.1f} ms")
    print(f"\n{'':<26}{'p50 ms':>9}{'p99 ms':>9}{'difference':>12}")
    for name, median in p50.items():
        print(f"{name:<26}{median:>9.1f}{p99[name]:>9.1f}{differences[name]:>12.1e}")
    for name in OPTIONAL:
        if name not in p50:
            print(f"{name:<26}{'n/a':>9}{'n/a':>9}")
    if result["ratio"] is not None:
        print(f"\nratio to the baseline {result['ratio']:.3f}\n")


if __name__ == "__main__":
    raise SystemExit(main())
