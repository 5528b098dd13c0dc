"""Azora Spark over REST against DataFusion's own SQL, on the same files, in one run.

What is timed is what a caller sees: from sending the job to holding the answer. Both sides run each round in turn, in an
order that is shuffled anew, and a ratio is taken within a round; the median over the rounds is shown, so that slow drifts
of a shared machine cancel out. Nothing is asserted here but the answers.

    python3 -m venv target/bench/venv && target/bench/venv/bin/pip install datafusion pyarrow numpy
    cargo build --release --bin azora
    target/release/azora serve --port 4399 --data-dir target/bench/data --file-root target/bench
    target/bench/venv/bin/python tests/bench/compare.py --url http://127.0.0.1:4399 --files target/bench/files
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import SessionConfig, SessionContext

ROWS = 50_000_000
LATENCY_JOBS = 1000
NEW_LAMBDAS = 200


class Client:
    """One kept-alive connection."""

    def __init__(self, url: str):
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=900)

    def post(self, path: str, body: dict):
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{path}: {response.status}: {text[:500]!r}")
        return json.loads(text)

    def process(self, source: dict, operations: list):
        return self.post("/rdd/process", {**source, "operations": operations})["result"]


def ints(folder: Path) -> Path:
    """50M Int64 below 2^28, plain and uncompressed: decoding costs both sides as little as it can."""
    path = folder / "ints.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        values = np.random.Generator(np.random.PCG64(20250711)).integers(0, 1 << 28, ROWS, dtype=np.int64)
        pq.write_table(pa.table({"x": values}), path, compression="none", use_dictionary=False, row_group_size=500_000)
    return path


def jobs(client: Client, context: SessionContext, path: Path) -> dict:
    """Name → (ours, DataFusion's); both answer the same number."""
    source = {"source": {"type": "parquet", "path": str(path), "columns": ["x"]}}
    chain = [{"type": "map", "function": "x => x * 2 + 1"}, {"type": "filter", "function": "x => x % 3 === 0"}]

    def sql(aggregate: str) -> int:
        context.deregister_table("t")
        context.register_parquet("t", str(path))
        query = f"SELECT {aggregate} AS a FROM (SELECT x*2+1 AS y FROM t) WHERE y % 3 = 0"
        return context.sql(query).to_pylist()[0]["a"]

    return {
        "count": (lambda: client.process(source, [*chain, {"type": "count"}]), lambda: sql("count(*)")),
        "sum": (lambda: client.process(source, [*chain, {"type": "sum"}]), lambda: sql("sum(y)")),
    }


def timed(work):
    began = time.perf_counter()
    answer = work()
    return answer, time.perf_counter() - began


def compare(name: str, sides: tuple, rounds: int) -> None:
    answers = [work() for work in sides]  # A warm-up for both.
    assert answers[0] == answers[1], (name, answers)
    times = []
    for _ in range(rounds):
        order = random.sample([0, 1], 2)
        took = {side: timed(sides[side])[1] for side in order}
        times.append((took[0], took[1]))
    ours, theirs = (statistics.median(column) for column in zip(*times))
    ratio = statistics.median(a / b for a, b in times)
    print(f"{name:<28} ours {ours * 1e3:8.1f} ms   DataFusion SQL {theirs * 1e3:8.1f} ms   ratio {ratio:.2f}")


def percentiles(name: str, times: list) -> None:
    times = sorted(times)
    print(f"{name:<28} p50 {times[len(times) // 2] * 1e3:.2f} ms   p99 {times[int(len(times) * 0.99)] * 1e3:.2f} ms   {len(times)} jobs")


def latency(client: Client) -> None:
    data = {"data": [1, 2, 3, 4, 5]}
    rest = [{"type": "filter", "function": "x => x > 5"}, {"type": "count"}]
    warm = [{"type": "map", "function": "x => x * 2"}, *rest]
    for _ in range(50):
        assert client.process(data, warm) == 3
    percentiles("README job, warm", [timed(lambda: client.process(data, warm))[1] for _ in range(LATENCY_JOBS)])
    start = random.randrange(1 << 30)
    fresh = [[{"type": "map", "function": f"x => x * 2 + {start + at}"}, *rest] for at in range(NEW_LAMBDAS)]
    percentiles("a lambda never seen before", [timed(lambda job=job: client.process(data, job))[1] for job in fresh])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:4301")
    parser.add_argument("--files", type=Path, required=True, help="where the data is kept, below a --file-root of the server")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    client = Client(options.url)
    client.post("/spark/init", {"master": "local[2]", "defaultParallelism": 2})
    latency(client)
    context = SessionContext(SessionConfig().with_target_partitions(2))
    for name, sides in jobs(client, context, ints(options.files.absolute())).items():
        compare(f"50M Int64, map+filter+{name}", sides, options.rounds)


if __name__ == "__main__":
    main()
