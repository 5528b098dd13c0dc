"""The 22 queries of TPC-H: Azora Spark over REST, compared with DuckDB's answers and timed against DataFusion's wheel.

All three read the same Parquet files. What is timed is what a caller sees: from sending the query to holding all rows as
Arrow. Ours and DataFusion's run in turn within a round, in an order that is shuffled anew, and a ratio is taken within a
round; the median over the rounds is shown. Answers are asserted, times are not.

    python3 -m venv target/bench/venv
    target/bench/venv/bin/pip install datafusion duckdb pyarrow numpy tpchgen-cli
    cargo build --release --bin azora
    target/release/azora serve --port 4399 --data-dir target/bench/data --file-root target/bench
    target/bench/venv/bin/python tests/bench/tpch.py --url http://127.0.0.1:4399 --files target/bench/tpch

`--bless DIR` writes DuckDB's answers as the tests keep them (`tests/cases/tpch/q01.csv`, at `--scale 0.01`), and ends.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import random
import statistics
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
from datafusion import SessionConfig, SessionContext

TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
QUERIES = Path(__file__).resolve().parent.parent / "cases" / "tpch"
PARTITIONS = 2
# DuckDB's averages and quotients are doubles, DataFusion's decimals with a few digits.
RELATIVE = 1e-6
ABSOLUTE = 1e-4


class Ours:
    """One kept-alive connection to the server, with the files as tables."""

    def __init__(self, url: str, files: Path):
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=900)
        self.tables = {name: {"source": {"type": "parquet", "path": str(files / f"{name}.parquet")}} for name in TABLES}
        self.post("/spark/init", {"master": f"local[{PARTITIONS}]", "defaultParallelism": PARTITIONS, "executorMemory": "4g"})

    def post(self, path: str, body: dict, accept: str = "application/json") -> bytes:
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Accept": accept})
        response = self.connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{path}: {response.status}: {text[:500]!r}")
        return text

    def rows(self, query: str) -> pa.Table:
        body = {"query": query, "tables": self.tables}
        return pa.ipc.open_stream(self.post("/api/v1/sql", body, "application/vnd.apache.arrow.stream")).read_all()


def generate(files: Path, scale: float) -> None:
    if not all((files / f"{name}.parquet").exists() for name in TABLES):
        files.mkdir(parents=True, exist_ok=True)
        generator = Path(sys.executable).parent / "tpchgen-cli"
        subprocess.run([generator, "parquet", "-s", str(scale), f"--output-dir={files}"], check=True, stdout=subprocess.DEVNULL)


def is_close(expect, answer) -> bool:
    if isinstance(expect, (int, float, Decimal)) and isinstance(answer, (int, float, Decimal)):
        a, b = float(expect), float(answer)
        return abs(a - b) <= max(ABSOLUTE, RELATIVE * max(abs(a), abs(b)))
    return expect == answer


def check(name: str, expect: list[tuple], answer: list[tuple]) -> None:
    assert len(expect) == len(answer), f"{name}: {len(answer)} rows in place of {len(expect)}"
    for at, (left, right) in enumerate(zip(expect, answer)):
        assert len(left) == len(right) and all(map(is_close, left, right)), f"{name}, row {at}: {right} in place of {left}"


def tuples(table: pa.Table) -> list[tuple]:
    return list(zip(*(column.to_pylist() for column in table.columns)))


def timed(work):
    began = time.perf_counter()
    answer = work()
    return answer, time.perf_counter() - began


def bless(folder: Path, name: str, rows: list[tuple]) -> None:
    text = lambda value: "" if value is None else value.isoformat() if isinstance(value, date) else str(value)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([text(value) for value in row] for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:4301")
    parser.add_argument("--files", type=Path, required=True, help="where the data is kept, below a --file-root of the server")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of the names of the queries that run")
    parser.add_argument("--bless", type=Path, help="where DuckDB's answers are written")
    options = parser.parse_args()
    files = options.files.absolute()
    generate(files, options.scale)
    queries = {path.stem: path.read_text() for path in sorted(QUERIES.glob("q*.sql")) if options.only in path.stem}
    oracle = duckdb.connect()
    for name in TABLES:
        oracle.execute(f"CREATE VIEW {name} AS SELECT * FROM '{files / name}.parquet'")
    expect = {name: oracle.execute(query).fetchall() for name, query in queries.items()}
    if options.bless:
        for name, rows in expect.items():
            bless(options.bless, name, rows)
        return
    oracle.close()
    ours = Ours(options.url, files)
    theirs = SessionContext(SessionConfig().with_target_partitions(PARTITIONS))
    for name in TABLES:
        theirs.register_parquet(name, str(files / f"{name}.parquet"))
    totals, ratios = [[], []], []
    for name, query in queries.items():
        sides = [lambda: ours.rows(query), lambda: theirs.sql(query).to_arrow_table()]
        check(name, expect[name], tuples(sides[0]()))
        check(f"{name}, DataFusion", expect[name], tuples(sides[1]()))
        times = []
        for _ in range(options.rounds):
            took = {side: timed(sides[side])[1] for side in random.sample([0, 1], 2)}
            times.append((took[0], took[1]))
        medians = [statistics.median(column) for column in zip(*times)]
        ratio = statistics.median(a / b for a, b in times)
        ratios.append(ratio)
        for side in (0, 1):
            totals[side].append(medians[side])
        print(f"{name}   ours {medians[0] * 1e3:7.1f} ms   DataFusion {medians[1] * 1e3:7.1f} ms   ratio {ratio:.2f}", flush=True)
    ours_all, theirs_all = map(sum, totals)
    print(f"all   ours {ours_all * 1e3:7.1f} ms   DataFusion {theirs_all * 1e3:7.1f} ms   ratio {ours_all / theirs_all:.2f}"
          f"   geometric mean {statistics.geometric_mean(ratios):.2f}   the {len(queries)} answers are DuckDB's")


if __name__ == "__main__":
    main()
