"""Time and memory to load a full-size checkpoint and to sample one chunk from it.

One process writes random weights, tensor by tensor; a fresh one loads them in float32
and samples. Its peak is compared with the bytes of the weights in float32. Pages of a
mapped file count as long as they are mapped.

    python bench/load.py DIR [--config pi0|pi05|small] [--dtype bfloat16] [--threads 2] [--keep]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from _roofline import machine
from sampling import random_inputs

from pi0_ros.checkpoint import CheckpointManifest, Normalisation, Statistics, create_untrained, load
from pi0_ros.checkpoint.store import write
from pi0_ros.checkpoint.tensors import LazyTensor
from pi0_ros.checkpoint.tokenizer import train_tokenizer
from pi0_ros.embodiment import load as robot
from pi0_ros.model import SMALL_VARIANTS, Pi0, Pi0Config, variant

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
NAMES = ("joint",)
STD = 0.02


def main() -> None:
    """Write and measure in separate processes, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, help="folder to write, removed afterwards")
    parser.add_argument("--config", default="pi0", help="model variant (default: %(default)s)")
    parser.add_argument("--dtype", default="bfloat16", choices=DTYPES, help="on disk")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: 2)")
    parser.add_argument("--steps", type=int, default=10, help="Euler steps (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the checkpoint there")
    parser.add_argument("--stage", choices=("write", "load"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.stage == "write" and args.config in SMALL_VARIANTS:
        create_untrained(args.directory, robot("ur5e"), config=args.config)
    elif args.stage == "write":
        create(args.directory, variant(args.config), DTYPES[args.dtype])
    elif args.stage == "load":
        print(json.dumps(measure(args.directory, args.steps)))
    else:
        both(args)


def both(args: argparse.Namespace) -> None:
    """Runs the two stages and reports."""
    if args.directory.exists():
        raise SystemExit(f"{args.directory} exists: name a folder that may be removed afterwards")
    words = [sys.executable, *sys.argv]
    try:
        begin = time.perf_counter()
        subprocess.run([*words, "--stage", "write"], check=True)
        write_s = time.perf_counter() - begin
        size = (args.directory / "model.safetensors").stat().st_size
        done = subprocess.run([*words, "--stage", "load"], check=True, stdout=subprocess.PIPE)
    finally:
        if not args.keep:
            shutil.rmtree(args.directory, ignore_errors=True)
    dtype = "float32" if args.config in SMALL_VARIANTS else args.dtype
    result = {
        "bench": "load",
        "machine": machine(),
        "threads": args.threads,
        "torch": torch.__version__,
        "config": args.config,
        "dtype": dtype,
        "file_bytes": size,
        "write_s": write_s,
        **json.loads(done.stdout),
    }
    report(result)
    print(json.dumps(result))


def create(directory: Path, config: Pi0Config, dtype: torch.dtype) -> None:
    """Writes a checkpoint of normal weights; norms are the identity."""
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in Pi0(config).state_dict().items()}
    generator = torch.Generator().manual_seed(0)

    def draw(name: str, shape: torch.Size) -> torch.Tensor:
        if len(shape) == 1:  # biases zero, layer norms the identity, RMS weights zero
            one = "vision" in name and "norm" in name and name.endswith("weight")
            return torch.full(shape, float(one), dtype=dtype)
        return torch.empty(shape, dtype=dtype).normal_(std=STD, generator=generator)

    tensors = {
        name: LazyTensor(shape=tuple(shape), dtype=dtype, read=lambda n=name, s=shape: draw(n, s))
        for name, shape in shapes.items()
    }
    unit = Statistics(mean=(0.0,), std=(1.0,), q01=(-1.0,), q99=(1.0,))
    manifest = CheckpointManifest(
        name="bench",
        trained=False,
        embodiment="bench",
        model=config,
        state_names=NAMES,
        action_names=NAMES,
        cameras=("base_0_rgb",),
        step_duration_s=0.02,
        delta_mask=(False,),
        normalisation=Normalisation(kind="zscore", eps=1e-6, state=unit, actions=unit),
        tokenizer="tokenizer.model",
    )
    write(directory, tensors, manifest, train_tokenizer(512))


def measure(directory: Path, steps: int) -> dict[str, float]:
    """Seconds and peak resident bytes: after imports, after loading, after a chunk."""
    before = peak_bytes()
    begin = time.perf_counter()
    model = load(directory).model
    load_s = time.perf_counter() - begin
    loaded = peak_bytes()
    inputs, noise = random_inputs(model)
    begin = time.perf_counter()
    actions = model.sample(inputs, noise, num_steps=steps)
    sample_s = time.perf_counter() - begin
    if not actions.isfinite().all():
        raise SystemExit("the sampled chunk is not finite")
    weights = model.weight_bytes()
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "weight_bytes": weights,
        "load_s": load_s,
        "sample_s": sample_s,
        "peak_before_bytes": before,
        "peak_loaded_bytes": loaded,
        "peak_sampled_bytes": peak_bytes(),
        "peak_loaded_ratio": loaded / weights,
        "peak_sampled_ratio": peak_bytes() / weights,
    }


def peak_bytes() -> int:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def report(result: dict[str, Any]) -> None:
    """Prints the table."""
    giga = {k: f"{v / 1e9:8.2f} GB" for k, v in result.items() if k.endswith("_bytes")}
    print(f"{result['machine']}; torch {result['torch']}, {result['threads']} thread(s)")
    print(f"{result['config']}: {result['parameters']:,} parameters, {result['dtype']} on disk\n")
    print(f"{'file':<24}{giga['file_bytes']}")
    print(f"{'weights in float32':<24}{giga['weight_bytes']}")
    print(f"{'peak before loading':<24}{giga['peak_before_bytes']}")
    for stage, seconds in (("loaded", "load_s"), ("sampled", "sample_s")):
        ratio = result[f"peak_{stage}_ratio"]
        print(
            f"{'peak when ' + stage:<24}{giga[f'peak_{stage}_bytes']}{ratio:>8.3f} of the weights"
            f"{result[seconds]:>9.1f} s"
        )
    print()


if __name__ == "__main__":
    main()
