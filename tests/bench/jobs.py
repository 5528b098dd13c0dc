"""What is compared: each job as ours over REST, and as a person would write it for DataFusion, Polars and DuckDB.

A side is a function without arguments that does the whole job, planning and reading included, and gives the answer. Nothing
that is made from the input is kept between two runs.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import duckdb
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as ds
from datafusion import SessionConfig, SessionContext

THREADS = 2


@dataclass
class Job:
    """One comparison. `bar` is the most that ours may take as a part of DataFusion's time."""

    name: str
    bar: float
    sides: dict[str, Callable[[], object]]
    file: str = ""
    same: Callable[[object, object], bool] = field(default=lambda a, b: a == b)


class Peers:
    """The three libraries, each on two threads, and our client."""

    def __init__(self, client, folder: Path, out: Path):
        self.client, self.folder, self.out = client, folder, out
        self.context = SessionContext(SessionConfig().with_target_partitions(THREADS))
        self.duck = duckdb.connect(":memory:", config={"threads": THREADS})

    def path(self, name: str) -> str:
        return str(self.folder / (f"{name}.ndjson" if name == "events" else f"{name}.parquet"))

    def ours(self, name: str, columns: list[str] | None, operations: list) -> object:
        kind = "ndjson" if name == "events" else "parquet"
        source = {"type": kind, "path": self.path(name), **({"columns": columns} if columns else {})}
        return self.client.post("/rdd/process", {"source": source, "operations": operations})["result"]

    def our_sql(self, query: str, **more) -> dict:
        return self.client.post("/api/v1/sql", {"query": query, **more})[0]

    def frame(self, name: str, query: str):
        """A query of DataFusion over `t`."""
        self.context.deregister_table("t")
        if name == "events":
            self.context.register_json("t", self.path(name), file_extension=".ndjson")
        else:
            self.context.register_parquet("t", self.path(name))
        return self.context.sql(query)

    def fusion(self, name: str, query: str) -> dict:
        return self.frame(name, query).to_pylist()[0]

    def duck_one(self, query: str):
        return self.duck.execute(query).fetchone()

    def target(self, side: str) -> str:
        """A place to write to that is free."""
        path = self.out / side
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
        return str(path)


def op(kind: str, function: object = None, **more) -> dict:
    return {"type": kind, **({"function": function} if function else {}), **more}


def close(a: object, b: object) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=1e-9)
    return a == b


def integers(p: Peers, end: str) -> Job:
    """W1: one column of 50M integers, two lambdas, one number."""
    chain = [op("map", "x => x * 2 + 1"), op("filter", "x => x % 3 === 0"), op(end)]
    aggregate = {"count": "count(*)", "sum": "sum(y)"}[end]
    frame = lambda: pl.scan_parquet(p.path("ints")).select(y=pl.col("x") * 2 + 1).filter(pl.col("y") % 3 == 0)
    ends = {"count": lambda f: f.select(pl.len()), "sum": lambda f: f.sum()}
    return Job(f"W1 {end}", 0.9, {
        "ours": lambda: p.ours("ints", ["x"], chain),
        "datafusion": lambda: p.fusion("ints", f"SELECT {aggregate} AS a FROM (SELECT x*2+1 AS y FROM t) WHERE y % 3 = 0")["a"],
        "polars": lambda: ends[end](frame()).collect(engine="streaming").item(),
        "duckdb": lambda: p.duck_one(f"SELECT {aggregate} FROM (SELECT x*2+1 AS y FROM '{p.path('ints')}') WHERE y % 3 = 0")[0],
    }, "ints")


def written(path: str) -> dict:
    table = ds.dataset(path, format="parquet", exclude_invalid_files=True).to_table()
    return {"n": table.num_rows, "id": pc.sum(table["id"]).as_py(), "total": pc.sum(table["total"]).as_py()}


def etl(p: Peers) -> Job:
    """W2: filter and project rows into Parquet. The answers are read back off the clock."""
    def ours():
        path = p.target("ours")
        p.ours("rows", ["id", "price", "qty", "country"], [
            op("filter", "r => r.country === 'ZA' && r.price * r.qty > 100"),
            op("map", "r => ({ id: r.id, total: r.price * r.qty * 1.15 })"),
            op("write", sink={"type": "parquet", "path": path, "compression": "snappy"}),
        ])
        return path

    def fusion():
        path = p.target("datafusion")
        query = "SELECT id, price*qty*1.15 AS total FROM t WHERE country = 'ZA' AND price*qty > 100"
        p.frame("rows", query).write_parquet(path, compression="snappy", compression_level=None)
        return path

    def polars():
        path, amount = p.target("polars"), pl.col("price") * pl.col("qty")
        chosen = pl.scan_parquet(p.path("rows")).filter((pl.col("country") == "ZA") & (amount > 100))
        chosen.select("id", total=amount * 1.15).sink_parquet(path, compression="snappy", engine="streaming")
        return path

    def duck():
        path = p.target("duckdb")
        p.duck.execute(f"COPY (SELECT id, price*qty*1.15::DOUBLE AS total FROM '{p.path('rows')}' WHERE country = 'ZA' AND "
                       f"price*qty > 100) TO '{path}' (FORMAT parquet, COMPRESSION snappy)")
        return path

    sides = {"ours": ours, "datafusion": fusion, "polars": polars, "duckdb": duck}
    return Job("W2 filter, project, write", 1.0, sides, "rows", lambda a, b: close(written(a), written(b)))


def distinct(p: Peers) -> Job:
    """W4: string work on 5M texts, then an exact count of the different ones."""
    y = pl.col("s").str.to_uppercase().str.slice(0, 5) + "-" + pl.col("s").str.len_chars().cast(pl.String)
    return Job("W4 strings", 0.8, {
        "ours": lambda: p.ours("strings", ["s"], [
            op("map", "s => s.toUpperCase().slice(0, 5) + '-' + s.length"), op("filter", "s => s.includes('A')"), op("countDistinct")]),
        "datafusion": lambda: p.fusion("strings", "SELECT count(DISTINCT y) AS a FROM (SELECT substr(upper(s), 1, 5) || '-' || "
                                       "CAST(character_length(s) AS VARCHAR) AS y FROM t) WHERE contains(y, 'A')")["a"],
        "polars": lambda: pl.scan_parquet(p.path("strings")).select(y=y).filter(pl.col("y").str.contains("A", literal=True))
        .select(pl.col("y").n_unique()).collect(engine="streaming").item(),
        "duckdb": lambda: p.duck_one(f"SELECT count(DISTINCT y) FROM (SELECT upper(s)[1:5] || '-' || length(s)::VARCHAR AS y FROM "
                                     f"'{p.path('strings')}') WHERE contains(y, 'A')")[0],
    }, "strings")


def aggregate(p: Peers, key: str, about: str) -> Job:
    """An uploaded aggregate by key beside DataFusion's own sum on the same rows; only the keys can be compared."""
    shape = "SELECT count(*) AS n FROM (SELECT {key}, {of} AS m FROM {table} GROUP BY {key}) WHERE m > 0"
    means = {"gmean": {"plugin": "textkit", "function": "geometric_mean"}}
    of = lambda what, table: shape.format(key=key, of=what, table=table)
    return Job(f"plugin aggregate by {about}", 2.0, {
        "ours": lambda: p.our_sql(of("gmean(price)", f"'{p.path('rows')}'"), functions=means)["n"],
        "datafusion": lambda: p.fusion("rows", of("sum(price)", "t"))["n"],
        "our own sum": lambda: p.our_sql(of("sum(price)", f"'{p.path('rows')}'"))["n"],
    }, "rows")


def haversine(p: Peers) -> Job:
    """An uploaded function beside the same formula in SQL. Beside native Rust it is measured by `cargo bench`."""
    half = "power(sin(radians({b}-{a})/2), 2)"
    north, east = half.format(a="lat1", b="lat2"), half.format(a="lon1", b="lon2")
    d = f"2*6371.0088*asin(sqrt({north} + cos(radians(lat1))*cos(radians(lat2))*{east}))"
    call = {"haversine": {"plugin": "textkit", "function": "haversine"}}
    return Job("haversine, plugin in SQL", 1.5, {
        "ours": lambda: p.our_sql(f"SELECT sum(haversine(lat1, lon1, lat2, lon2)) AS a FROM '{p.path('geo')}'", functions=call)["a"],
        "datafusion": lambda: p.fusion("geo", f"SELECT sum({d}) AS a FROM t")["a"],
        "duckdb": lambda: p.duck_one(f"SELECT sum({d.replace('6371.0088', '6371.0088::DOUBLE')}) FROM '{p.path('geo')}'")[0],
    }, "geo", close)


def ndjson(p: Peers) -> Job:
    """2M lines of JSON with all their columns inferred and read."""
    every = ("SELECT count(*) AS n, min(id) AS id, max(price) AS price, sum(qty) AS qty, max(country) AS country, min(ts) AS ts, "
             "max(name) AS name FROM {table}")
    return Job("NDJSON, all columns", 1.5, {
        "ours": lambda: p.our_sql(every.format(table=f"'{p.path('events')}'")),
        "datafusion": lambda: p.fusion("events", every.format(table="t")),
        "polars": lambda: pl.scan_ndjson(p.path("events")).select(
            n=pl.len(), id=pl.col("id").min(), price=pl.col("price").max(), qty=pl.col("qty").sum(), country=pl.col("country").max(),
            ts=pl.col("ts").min(), name=pl.col("name").max()).collect(engine="streaming").to_dicts()[0],
        "duckdb": lambda: p.duck_one(every.format(table=f"read_json('{p.path('events')}')")),
    }, "events", lambda a, b: not isinstance(b, dict) or a["n"] == b["n"] and a["name"] == b["name"])


def all_jobs(p: Peers) -> dict[str, Callable[[], Job]]:
    """By the name under which they can be chosen."""
    return {
        "w1_count": lambda: integers(p, "count"),
        "w1_sum": lambda: integers(p, "sum"),
        "w2": lambda: etl(p),
        "w4": lambda: distinct(p),
        "aggregate_20": lambda: aggregate(p, "country", "20 texts"),
        "aggregate_10": lambda: aggregate(p, "qty", "10 integers"),
        "aggregate_1m": lambda: aggregate(p, "id % 1000000", "1M integers"),
        "haversine": lambda: haversine(p),
        "ndjson": lambda: ndjson(p),
    }
