"""Azora Spark over REST against DataFusion's SQL, Polars and DuckDB, on the same files, in one run.

    python3 tests/bench/compare.py                      # everything: builds the server, makes the data (3 GB), a virtual environment
    python3 tests/bench/compare.py --jobs w1_count,w4   # some
    python3 tests/bench/compare.py --azora PATH         # with a server that is built already

What is timed is what a caller sees: from sending the job to holding the answer. All sides run each round in turn, in an order
that is shuffled anew, and a ratio is taken within a round; the median over the rounds is shown, so that slow drifts of a
shared machine cancel out. Nothing is asserted here but the answers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "bench"
PACKAGES = ["datafusion", "polars", "duckdb", "pyarrow", "numpy"]
LATENCY_JOBS = 1000
NEW_LAMBDAS = 200


def into_environment(venv: Path) -> None:
    """Goes on inside of the virtual environment, which is made where it is missing."""
    python = venv / "bin" / "python"
    if Path(sys.prefix) == venv:
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    # Read where the library is loaded.
    os.execve(python, [str(python), *sys.argv], {**os.environ, "POLARS_MAX_THREADS": "2"})


class Client:
    """One kept-alive connection."""

    # The server closes a connection that asks nothing for so long.
    IDLE_S = 10

    def __init__(self, url: str):
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=900)
        self.used = time.monotonic()

    def send(self, path: str, body: bytes, kind: str):
        if time.monotonic() - self.used > self.IDLE_S:
            self.connection.close()
        self.connection.request("POST", path, body, {"Content-Type": kind})
        response = self.connection.getresponse()
        text = response.read()
        self.used = time.monotonic()
        if response.status >= 300:
            raise RuntimeError(f"{path}: {response.status}: {text[:500]!r}")
        return json.loads(text)

    def post(self, path: str, body: dict):
        return self.send(path, json.dumps(body).encode(), "application/json")


class Server:
    """A server of ours on a free port, over an empty data directory."""

    def __init__(self, program: Path, folder: Path, root: Path):
        command = [program, "serve", "--port", "0", "--data-dir", folder, "--file-root", root]
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if found := re.search(r"http://[\d.]+:[1-9]\d*", line):
                self.url = found.group()
                return
        raise RuntimeError("the server did not start: " + "".join(lines))

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def timed(work):
    began = time.perf_counter()
    answer = work()
    return answer, time.perf_counter() - began


def compare(job, server: Server, rounds: int) -> None:
    names = list(job.sides)
    answers = {name: side() for name, side in job.sides.items()}  # A warm-up for all.
    for name in names[1:]:
        assert job.same(answers["ours"], answers[name]), (job.name, name, answers["ours"], answers[name])
    times, peak = {name: [] for name in names}, 0.0
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            server.forget_peak()
            times[name].append(timed(job.sides[name])[1])
            peak = max(peak, server.peak_mb()) if name == "ours" else peak
    shown = [f"{job.name:<32} ours {statistics.median(times['ours']) * 1e3:8.1f} ms, {peak:4.0f} MB"]
    for name in names[1:]:
        ratio = statistics.median(a / b for a, b in zip(times["ours"], times[name]))
        bar = f" (bar {job.bar})" if name == "datafusion" else ""
        shown.append(f"{ratio:.2f} x {name} {statistics.median(times[name]) * 1e3:.1f} ms{bar}")
    print("   ".join(shown), flush=True)


def percentiles(name: str, times: list) -> None:
    times = sorted(times)
    p50, p99 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.99))
    print(f"{name:<32} p50 {p50:.2f} ms   p99 {p99:.2f} ms   {len(times)} jobs", flush=True)


def latency(client: Client) -> None:
    rest = [{"type": "filter", "function": "x => x > 5"}, {"type": "count"}]

    def process(function: str):
        operations = [{"type": "map", "function": function}, *rest]
        return client.post("/rdd/process", {"data": [1, 2, 3, 4, 5], "operations": operations})["result"]

    for _ in range(50):
        assert process("x => x * 2") == 3
    percentiles("README job, warm", [timed(lambda: process("x => x * 2"))[1] for _ in range(LATENCY_JOBS)])
    start = random.randrange(1 << 30)
    fresh = [timed(lambda at=at: process(f"x => x * 2 + {start + at}"))[1] for at in range(NEW_LAMBDAS)]
    percentiles("a lambda never seen before", fresh)


def upload(client: Client, component: Path) -> None:
    if not component.exists():
        sys.exit(f"{component} is missing: run `cargo xtask guests`, or say --guests")
    client.send("/api/v1/plugins", component.read_bytes(), "application/wasm")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--azora", type=Path, help="the program; without it, a release build is made")
    parser.add_argument("--guests", type=Path, default=WORK.parent / "guests" / "components", help="where `cargo xtask guests` put components")
    parser.add_argument("--work", type=Path, default=WORK, help="where data and the virtual environment are kept")
    parser.add_argument("--jobs", help="some, with commas between; `latency` is one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prepare", action="store_true", help="only make the data and the virtual environment")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    into_environment(work / "venv")
    import data
    import jobs
    if options.prepare:
        for name in [*data.TABLES, "events"]:
            data.make(work / "files", name)
        return
    if options.azora is None:
        subprocess.run(["cargo", "build", "--release", "--bin", "azora"], cwd=ROOT, check=True)
        options.azora = WORK.parent / "release" / "azora"
    (work / "out").mkdir(exist_ok=True)
    subprocess.run(["rm", "-rf", work / "state"], check=True)
    server = Server(options.azora, work / "state", work)
    try:
        client = Client(server.url)
        client.post("/spark/init", {"appName": "bench", "master": "local[2]", "defaultParallelism": 2})
        upload(client, options.guests / "textkit.wasm")
        known = jobs.all_jobs(jobs.Peers(client, work / "files", work / "out"))
        chosen = options.jobs.split(",") if options.jobs else ["latency", *known]
        if unknown := set(chosen) - set(known) - {"latency"}:
            sys.exit(f"no such jobs: {', '.join(sorted(unknown))}; there are latency, {', '.join(known)}")
        if "latency" in chosen:
            latency(client)
        for name in chosen:
            if name != "latency":
                job = known[name]()
                data.make(work / "files", job.file)
                compare(job, server, options.rounds)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
