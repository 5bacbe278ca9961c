"""Timing programs against one another: each in a process of its own, in turns, compared by the ratio of medians.

A worker is a script that prepares its work, prints "ready", and then, for every line it reads, does the work once and
prints the seconds it took. Machines are noisy; taking turns lets the noise fall on all alike.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence


def take_turns(workers: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round for every worker; `workers` maps a name to a command. One round before is not counted."""
    running = {name: _start(command) for name, command in workers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in running}
    for number in range(rounds + 1):
        for name, process in running.items():
            took = _one_round(process)
            if number:
                seconds[name].append(took)
    for process in running.values():
        process.stdin.close()
        process.wait()
    return seconds


def _start(command: Sequence[str]) -> subprocess.Popen:
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "true",
    }
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    while (line := process.stdout.readline().strip()) != "ready":
        if not line and process.poll() is not None:
            sys.exit(f"the worker ended early: {' '.join(command)}")
    return process


def _one_round(process: subprocess.Popen) -> float:
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def serve(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> None:
    """The worker's side: do the work once for every line read. What the work itself prints goes to the errors."""
    print("ready", flush=True)
    for _ in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            start = clock()
            work()
            took = clock() - start
        print(took, flush=True)


def report(seconds: Mapping[str, Sequence[float]], base: str) -> None:
    """A line per worker: the median, the spread, and how it compares with `base`."""
    standard = statistics.median(seconds[base])
    for name, times in seconds.items():
        median = statistics.median(times)
        spread = f"({min(times):.3f} to {max(times):.3f})"
        print(f"{name:12} median {median:8.3f} s  {spread}  {median / standard:6.2f} x {base}")


def whole_process(command: Sequence[str], rounds: int) -> list[tuple[float, float, int]]:
    """(processor seconds, wall seconds, peak bytes) of each run of `command` as a fresh process."""
    code = (
        "import resource, subprocess, sys, time; start = time.perf_counter();"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "wall = time.perf_counter() - start; used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024)"
    )
    runs = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
        cpu, wall, peak = done.stdout.split()
        runs.append((float(cpu), float(wall), int(peak)))
    return runs
