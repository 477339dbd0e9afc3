"""The parts of every benchmark: timing of processes, contestants in turn, a table, a JSON file."""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from src.fitting.dividing import divides_batches
from src.schema import Config
from src.writing import replacing

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = Path(__file__).resolve().parent / "results"
UNPUBLISHED = ROOT / ".debug/benchmarks"
TRAIN = ("-m", "src.train", "~local")  # without this machine's own settings
KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")  # of the environment
PACKAGES = ("tensorflow", "keras", "mlflow", "optuna", "hydra-core", "numpy")
BEFORE = ", before"  # ends the names of contestants of another checkout
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")

Figures = dict[str, float]


class Failed(Exception):
    """A process ended with an unexpected exit code; the message has the last lines that it printed."""


class Finished(NamedTuple):
    """The measurements of one process.

    Attributes:
        seconds: from its start to its end.
        peak_mb: the most memory that it held, in MB of 10^6 bytes, without that of its children.
        output: what it printed.
    """

    seconds: float
    peak_mb: float
    output: str


def run(
    command: Sequence[str],
    folder: Path,
    expected: int = 0,
    watch: Callable[[int], None] | None = None,
    **variables: str,
) -> Finished:
    """Run `python command...` in a folder to its end, with few of this process' environment variables.

    Args:
        command: what comes after `python`.
        folder: where it runs.
        expected: the exit code.
        watch: called with the process' id ten times a second, in a thread.
        variables: of the environment, in addition to those of every benchmark.

    Raises:
        Failed: it ended with another exit code.
    """
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment(variables), stdout=output, stderr=output
        )
        ended, peaks = threading.Event(), [0.0]

        def poll() -> None:
            while not ended.wait(0.1):
                peaks.append(peak_mb(process.pid))
                if watch is not None:
                    watch(process.pid)

        threading.Thread(target=poll, daemon=True).start()
        _, status, used = os.wait4(process.pid, 0)
        ended.set()
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != expected:
        raise Failed(f"python {' '.join(command)} ended with {process.returncode}:\n{text[-3000:]}")
    whole = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return Finished(seconds, max(peaks) or whole, text)


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that is measured: these variables, and few of this process' own."""
    data = str(Path(os.environ.get("DATA_DIR", ROOT / "data")).resolve())
    given = {"PYTHONPATH": str(ROOT), "DATA_DIR": data, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | given | dict(variables)


def peak_mb(pid: int) -> float:
    """Return the peak memory of a process; on Linux `wait4` reports at least what its parent held."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    except (OSError, KeyError):
        return 0.0


def threads(config: Config) -> dict[str, Any]:
    """Return the environment in which TensorFlow uses as many threads as `src.train` would with this config."""
    return {"TF_NUM_INTRAOP_THREADS": "1"} if divides_batches(config) else {}


def in_turn(
    contestants: Mapping[str, Callable[[Path], Figures]], repetitions: int, names: Sequence[str] = ()
) -> dict[str, list[Figures]]:
    """Measure each contestant once, in a folder of its own, then all of them again; return the figures of each.

    So other programs on the machine slow all contestants alike. A different one starts first in each repetition. One
    that fails is reported and skipped. If all fail, the benchmark ends.
    """
    running = list(names or contestants)
    measured: dict[str, list[Figures]] = {name: [] for name in running}
    for repetition in range(1, repetitions + 1):
        for name in list(running):
            try:
                with tempfile.TemporaryDirectory() as folder:
                    measured[name].append(contestants[name](Path(folder)))
            except Failed as error:
                print(f"{repetition}/{repetitions}  {name:<24} failed: {error}", file=sys.stderr, flush=True)
                running.remove(name)
            else:
                print(f"{repetition}/{repetitions}  {name:<24} {_line(measured[name][-1])}", flush=True)
        running = running[1:] + running[:1]
    if not any(measured.values()):
        sys.exit("nothing was measured")
    return {name: found for name, found in measured.items() if found}


def _line(figures: Figures) -> str:
    return "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())


def medians(measured: Mapping[str, Sequence[Figures]]) -> dict[str, Figures]:
    """Return the median of each figure of each contestant."""
    return {
        name: {figure: statistics.median(each[figure] for each in found) for figure in found[0]}
        for name, found in measured.items()
    }


def ratio(measured: Mapping[str, Sequence[Figures]], one: str, other: str, figure: str) -> float:
    """Return the median of one contestant's figure divided by another's, repetition by repetition.

    A machine that is slow for some minutes slows both, so their ratio stays the same. A ratio of medians would change.
    """
    pairs = zip(measured[one], measured[other], strict=False)
    return statistics.median(first[figure] / second[figure] for first, second in pairs)


def show(title: str, middle: Mapping[str, Figures]) -> None:
    """Print the medians as a table with a row for each contestant."""
    figures = list(dict.fromkeys(figure for found in middle.values() for figure in found))
    widths = [max(len(figure), 10) for figure in figures]
    print(
        f"\n{title}\n{'':<24}" + "".join(f"  {figure:>{width}}" for figure, width in zip(figures, widths, strict=True))
    )
    for name, found in middle.items():
        cells = [f"{found[figure]:,.4g}" if figure in found else "" for figure in figures]
        print(f"{name:<24}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))


def keep(benchmark: str, measured: Mapping[str, Sequence[Figures]], publish: bool = False, **more: Any) -> None:
    """Print the medians, and write all measurements to BENCHMARK.json.

    Args:
        benchmark: its name.
        measured: the figures, from `in_turn`.
        publish: write the file to `benchmarks/results`, from which docs/results.md is made, instead of
            `.debug/benchmarks`. The variable RESULTS names another folder for both.
        more: other entries of the file; `ratios` are printed.
    """
    middle = medians(measured)
    show(benchmark, middle)
    for name, value in more.get("ratios", {}).items():
        print(f"{name}: {value:.2f}")
    content = {
        "benchmark": benchmark,
        "command": shlex.join(["python", "-m", f"benchmarks.{benchmark}", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "medians": middle,
        **more,
        "repetitions": measured,
    }
    file = results_file(benchmark, publish)
    with replacing(file) as part:
        part.write_text(json.dumps(content, indent=1) + "\n")
    print(f"\nwritten to {file}")


def results_file(benchmark: str, publish: bool) -> Path:
    """Return the file for a benchmark's figures."""
    return Path(os.environ.get("RESULTS", PUBLISHED if publish else UNPUBLISHED)) / f"{benchmark}.json"


def kept_before(benchmark: str, publish: bool) -> dict[str, list[Figures]]:
    """Return the figures of an earlier call. Ends the benchmark if its machine or versions were different."""
    file = results_file(benchmark, publish)
    if not file.exists():
        return {}
    content = json.loads(file.read_text())
    if (content["machine"], content["versions"]) != (machine(), versions()):
        sys.exit(f"{file} was measured on another machine or with other versions; measure all of it again")
    return dict(content["repetitions"])


def machine() -> dict[str, Any]:
    """Return the processor, those of its instructions that matter for speed, and the memory."""
    import psutil

    processor, flags = platform.processor() or platform.machine(), set[str]()
    if (file := Path("/proc/cpuinfo")).exists():
        lines = dict(line.split("\t", 1) for line in file.read_text().splitlines() if "\t" in line)
        facts = {name.strip(): value.partition(":")[2].strip() for name, value in lines.items()}
        processor, flags = facts.get("model name", processor), set(facts.get("flags", "").split())
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(terse=True),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are measured."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def arguments(text: str | None, contestants: Sequence[str], repetitions: int | None = None) -> argparse.ArgumentParser:
    """Return a parser for the arguments of every benchmark: contestants, `--repeat` if any, `--publish`."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contestants", nargs="*", metavar="NAME", help=", ".join(contestants))
    if repetitions is not None:
        parser.add_argument("--repeat", type=positive, default=repetitions, help=f"repetitions of each ({repetitions})")
    parser.add_argument("--publish", action="store_true", help="write to benchmarks/results, for make results")
    return parser


def in_trees(
    names: Sequence[str], against: Path | None, measure: Callable[[str, Path, Path], Figures]
) -> dict[str, Callable[[Path], Figures]]:
    """Return a contestant for each name, and one for each name and the other checkout, which follows it directly.

    Args:
        names: the contestants without `--against`.
        against: the other checkout, whose contestants have this name and `, before`.
        measure: gets the name, the folder of the checkout and an empty folder.
    """
    trees = {"": ROOT} | ({BEFORE: checkout(against)} if against else {})
    return {f"{name}{suffix}": partial(measure, name, tree) for name in names for suffix, tree in trees.items()}


def checkout(folder: Path) -> Path:
    """Return the folder of another checkout of this project, which must be one."""
    if not (folder / "src/train.py").is_file():
        sys.exit(f"--against {folder}: this is not a checkout of convlab; it has no src/train.py")
    return folder.resolve()


def add_against(parser: argparse.ArgumentParser) -> None:
    """Add `--against FOLDER` to a parser."""
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="measure another checkout too, in turn")


def changes(measured: Mapping[str, Sequence[Figures]], figures: Sequence[str]) -> dict[str, float]:
    """Return each contestant's figures divided by those of the other checkout, where both were measured."""
    return {
        f"{figure} of {name} / before": ratio(measured, name, f"{name}{BEFORE}", figure)
        for name in measured
        if f"{name}{BEFORE}" in measured
        for figure in figures
        if figure in measured[name][0]
    }


def positive(text: str) -> int:
    """Return an integer of at least 1, for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected an integer of at least 1")
    return int(text)


def ready(contestants: Sequence[str]) -> None:
    """End the benchmark if the full MNIST is missing, or if autolog is a contestant and TensorBoard is missing.

    Trains for a moment, so that the first contestant does not have to read its files from a cold disk.
    """
    if any("autolog" in name for name in contestants) and importlib.util.find_spec("tensorboard") is None:
        sys.exit("autolog needs TensorBoard: pip install tensorboard, or name the contestants to run without it")
    with tempfile.TemporaryDirectory() as folder:
        try:
            run([*TRAIN, "debug=fast_dev_run", "dataset.source=full"], Path(folder))
        except Failed as error:
            sys.exit(str(error))


def chosen(options: argparse.Namespace, contestants: Sequence[str]) -> list[str]:
    """Return the contestants named on the command line, or all of them."""
    if unknown := set(options.contestants) - set(contestants):
        sys.exit(f"no contestant {', '.join(sorted(unknown))}; known: {', '.join(contestants)}")
    return options.contestants or list(contestants)
