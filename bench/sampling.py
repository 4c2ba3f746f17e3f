"""Time to sample one chunk: a cached prefix compared with one computed in every step.

Both ways run in one process on the same weights and inputs and must agree. Only their
ratio is meaningful on another machine. The benchmark also times chunks that continue
another one: guided, with a backward pass in every step, and by inpainting.

    python bench/sampling.py [--config tiny] [--steps 10] [--repeats 20] [--threads 1]
    python bench/sampling.py --config pi0 --device cuda       (in bfloat16)
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from _roofline import machine
from infer import MIDDLE
from torch import Tensor

from pi0_ros.model import Inputs, Pi0, flow, random_pi0, variant
from pi0_ros.model.guidance import Guidance, Inpainting, prefix_weights
from pi0_ros.model.inference import Sampler


def main() -> None:
    """Measures, prints a table, ends with one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--config", default="tiny", help="model variant, or middle (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=10, help="Euler steps (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=20, help="runs each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = MIDDLE if args.config == "middle" else variant(args.config)
    model = random_pi0(config).requires_grad_(False).to(args.device)
    if args.device != "cpu":
        model.to_bfloat16()
    result = {
        "bench": "sampling",
        "machine": machine(),
        "threads": args.threads,
        "device": args.device if args.device == "cpu" else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "config": args.config,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": args.steps,
        **measure(model, args.steps, args.repeats),
    }
    report(result)
    print(json.dumps(result))


def measure(model: Pi0, steps: int, repeats: int) -> dict[str, float]:
    """Medians in milliseconds, their ratio, and the largest difference of the actions."""
    inputs, noise = random_inputs(model)
    state = inputs.state
    times = flow.euler_times(steps)
    prefix = model.prefill(inputs)

    def uncached() -> Tensor:
        def velocity(x: Tensor, t: float) -> Tensor:
            return model.velocity(inputs, x, x.new_full((1,), t))

        return flow.euler(velocity, noise, times)

    def cached() -> Tensor:
        return model.sample(inputs, noise, times=times)

    images = inputs.images.flatten(0, 1)
    cached_ms, uncached_ms = alternate(cached, uncached, n=repeats)
    vision_ms, prefill_ms = alternate(
        lambda: model.vision(images), lambda: model.prefill(inputs), n=repeats
    )
    # Last, because on a GPU it packs the weights in place.
    sampler = Sampler.on_device(model)
    context = sampler.prefill(inputs)
    guidance, inpainting = continuations(noise)
    denoise_ms, fast_ms, guided_ms, inpainted_ms = alternate(
        lambda: model.sample_actions(prefix, state, noise, steps),
        lambda: sampler.sample_actions(context, state, noise, steps),
        lambda: sampler.continue_actions(context, state, noise, guidance, steps),
        lambda: sampler.continue_actions(context, state, noise, inpainting, steps),
        n=repeats,
    )
    return {
        "vision_ms": vision_ms,
        "prefill_ms": prefill_ms,
        "denoise_ms": denoise_ms,
        "denoise_fast_ms": fast_ms,
        "denoise_guided_ms": guided_ms,
        "denoise_inpainted_ms": inpainted_ms,
        "cached_ms": cached_ms,
        "uncached_ms": uncached_ms,
        "ratio": uncached_ms / cached_ms,
        "difference": float((cached() - uncached()).abs().max()),
    }


def continuations(noise: Tensor) -> tuple[Guidance, Inpainting]:
    """Continuations of half a chunk, six steps of it frozen."""
    _, horizon, width = noise.shape
    target = torch.randn(noise.shape, generator=torch.Generator().manual_seed(1))
    weights = prefix_weights("exp", delay=6, end=horizon // 2, horizon=horizon)
    frozen = torch.arange(horizon) < 6
    return (
        Guidance(target=target, weights=weights[:, None].expand(-1, width)),
        Inpainting(target=target, mask=frozen[:, None].expand(-1, width)),
    )


def random_inputs(model: Pi0) -> tuple[Inputs, Tensor]:
    """Three cameras and a full prompt at batch 1, and the noise of a chunk."""
    config, g = model.config, torch.Generator().manual_seed(0)
    size, device = config.vision.image_size, model.action_in_proj.weight.device
    inputs = Inputs(
        images=torch.rand(1, 3, 3, size, size, generator=g) * 2 - 1,
        image_mask=torch.ones(1, 3, dtype=torch.bool),
        tokens=torch.randint(0, config.vocab, (1, config.max_tokens), generator=g),
        token_mask=torch.ones(1, config.max_tokens, dtype=torch.bool),
        state=torch.randn(1, config.action_dim, generator=g),
    )
    noise = torch.randn(1, config.action_horizon, config.action_dim, generator=g)
    return inputs.to(device), noise.to(device)


def alternate(*functions: Callable[[], Tensor | object], n: int) -> tuple[float, ...]:
    """Median wall time of each function in milliseconds, taken in turns after one warm-up."""
    samples: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(n):
        for function, sample in zip(functions, samples, strict=True):
            start = time.perf_counter()
            function()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            sample.append(1e3 * (time.perf_counter() - start))
    return tuple(statistics.median(sample) for sample in samples)


def report(result: dict[str, object]) -> None:
    """Prints the table."""
    where = f"{result['machine']}, {result['device']}"
    print(f"{where}; torch {result['torch']}, {result['threads']} thread(s)")
    print(f"{result['config']}: {result['parameters']:,} parameters, {result['steps']} steps\n")
    for name in ("vision", "prefill", "denoise", "cached", "uncached"):
        print(f"{name:<20}{result[name + '_ms']:>9.1f} ms")
    for name in ("denoise_fast", "denoise_guided", "denoise_inpainted"):
        print(f"{name:<20}{result[name + '_ms']:>9.1f} ms, by the policy's sampler")
    print(f"{'ratio':<20}{result['ratio']:>9.1f} uncached / cached")
    print(f"{'difference':<20}{result['difference']:>9.1e} largest, of the actions\n")


if __name__ == "__main__":
    main()
