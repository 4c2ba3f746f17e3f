"""``demo``: an untrained network drives a robot without hardware; a report shows the result.

Starts the process graph of ``pi0 up`` in a ROS domain of its own, observes it for a while and
writes figures and pictures. The exit code is 0 only if the control loop has closed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from pi0_bringup.demo.recording import Recording
from pi0_bringup.demo.run import DemoOptions, run
from pi0_bringup.demo.summary import Summary, summarise
from pi0_bringup.demo.table import table
from pi0_bringup.private_graph import GraphRunError, make_folder
from pi0_ros.embodiment import EmbodimentError, load
from pi0_ros.graph.options import GraphError
from pi0_ros.graph.scenes import installed_scenes

_DEFAULT_PROMPT = "transfer the cube to the other arm"
_NOT_CLOSED, _REFUSED, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 if the loop closed, 1 if not, 2 for a refused input, 130 if stopped."""
    given = _parser().parse_args(arguments)
    output = sys.stderr if given.json else sys.stdout
    try:
        options = _options(given)
        recording = run(options, output)
    except GraphRunError as error:
        return _report_error(str(error), _NOT_CLOSED)
    except (EmbodimentError, GraphError) as error:
        return _report_error(str(error), _REFUSED)
    except KeyboardInterrupt:
        return _report_error("interrupted; every process has been stopped", _INTERRUPTED)
    summary = summarise(recording, options.embodiment)
    _report(options, recording, summary, output)
    if given.json:
        sys.stdout.write(_as_json(options, summary) + "\n")
    for problem in summary.problems:
        _report_error(problem, _NOT_CLOSED)
    return _NOT_CLOSED if summary.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo", description=(__doc__ or "").split("\n\n")[1], allow_abbrev=False
    )
    parser.add_argument(
        "--embodiment", default="bimanual_trossen", help="name or path (default: %(default)s)"
    )
    parser.add_argument(
        "--hardware",
        choices=("auto", "mujoco", "mock"),
        default="auto",
        help="auto: the MuJoCo simulation if there is one, else the mock robot",
    )
    parser.add_argument(
        "--scene", default="", help="of the simulation, where the embodiment has several"
    )
    parser.add_argument(
        "--duration",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="robot time to run for (default: %(default)g)",
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="run this one, not an untrained one"
    )
    parser.add_argument("--prompt", default=_DEFAULT_PROMPT, help="(default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write (default: out/demo-EMBODIMENT)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    return parser


def _options(given: argparse.Namespace) -> DemoOptions:
    embodiment = load(given.embodiment)
    hardware = given.hardware
    if hardware == "auto":
        hardware = "mujoco" if embodiment.name in installed_scenes() else "mock"
    if not 0.0 < given.duration < float("inf"):
        raise GraphError(f"duration is {given.duration:g}; give seconds above zero")
    out = given.out or Path("out") / f"demo-{embodiment.name}"
    make_folder(out)
    return DemoOptions(
        embodiment=embodiment,
        hardware=hardware,
        scene=given.scene,
        duration_s=given.duration,
        out=out,
        checkpoint=given.checkpoint,
        prompt=given.prompt,
    )


def _report(options: DemoOptions, recording: Recording, summary: Summary, output: TextIO) -> None:
    # Imported here because the drawing libraries take a second to load.
    from pi0_bringup.demo.contact_sheet import draw_contact_sheet
    from pi0_bringup.demo.joint_plot import draw_joint_plot

    network = "an untrained network" if options.checkpoint is None else str(options.checkpoint)
    what = f"{options.embodiment.name} ({options.hardware}), driven by {network}"
    output.write(f"{what}\n{table(summary)}\n")
    paths = [options.out / name for name in ("cameras.png", "joints.png", "summary.json")]
    if recording.frames:
        draw_contact_sheet(recording, options.embodiment, f"What the policy saw: {what}", paths[0])
    draw_joint_plot(recording, options.embodiment, f"Commanded and measured: {what}", paths[1])
    paths[2].write_text(_as_json(options, summary) + "\n", encoding="utf-8")
    output.writelines(f"  {path}\n" for path in paths if path.exists())
    output.flush()


def _as_json(options: DemoOptions, summary: Summary) -> str:
    return json.dumps(
        {
            "embodiment": options.embodiment.name,
            "hardware": options.hardware,
            "checkpoint": str(options.checkpoint or "untrained"),
            "real_time_factor": summary.real_time_factor,
            **asdict(summary),
        },
        indent=2,
    )


def _report_error(text: str, code: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"demo: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
