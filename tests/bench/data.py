"""The files that the benchmark reads: made once, from fixed seeds, below the folder that it is given.

| file | rows | columns |
| --- | --- | --- |
| ints.parquet | 50M | x: int64 below 2^28; plain, uncompressed |
| rows.parquet | 10M | id: int64, a permutation; price: float64, 2 decimals; qty: int64, 1 to 10; country: utf8, 20 values; snappy |
| strings.parquet | 5M | s: utf8, ASCII letters, 10 to 40; snappy |
| geo.parquet | 10M | lat1, lon1, lat2, lon2: float64; snappy |
| events.ndjson | 2M | {"id","price","qty","country","ts","name"} |
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 500_000
COUNTRIES = ["ZA", "NG", "KE", "EG", "GH", "US", "GB", "DE", "FR", "IN", "CN", "BR", "JP", "AU", "CA", "MX", "ES", "IT", "NL", "SE"]
SEED = 20250711


def ints(at: np.random.Generator) -> pa.Table:
    return pa.table({"x": at.integers(0, 1 << 28, 50_000_000, dtype=np.int64)})


def rows(at: np.random.Generator, n: int = 10_000_000) -> pa.Table:
    codes = pa.array(at.integers(0, len(COUNTRIES), n, dtype=np.int32))
    return pa.table({
        "id": at.permutation(n).astype(np.int64),
        "price": np.round(at.uniform(0.5, 500.0, n), 2),
        "qty": at.integers(1, 11, n, dtype=np.int64),
        "country": pa.DictionaryArray.from_arrays(codes, pa.array(COUNTRIES)).cast(pa.string()),
    })


def texts(at: np.random.Generator, n: int) -> pa.Array:
    offsets = np.zeros(n + 1, dtype=np.int32)
    np.cumsum(at.integers(10, 41, n), out=offsets[1:])
    letters = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8)
    data = letters[at.integers(0, len(letters), int(offsets[-1]), dtype=np.uint8)]
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data))


def strings(at: np.random.Generator) -> pa.Table:
    return pa.table({"s": texts(at, 5_000_000)})


def geo(at: np.random.Generator) -> pa.Table:
    spans = [("lat1", 90), ("lon1", 180), ("lat2", 90), ("lon2", 180)]
    return pa.table({name: at.uniform(-span, span, 10_000_000) for name, span in spans})


def write_events(path: Path, at: np.random.Generator, n: int = 2_000_000) -> None:
    start = np.datetime64("2024-01-01", "ms").astype(np.int64)
    stamps = np.datetime_as_string((start + at.integers(0, 366 * 86_400 * 1_000, n)).view("datetime64[ms]"), unit="ms").tolist()
    prices, quantities = np.round(at.uniform(0.5, 500.0, n), 2).tolist(), at.integers(1, 11, n).tolist()
    countries, names = at.integers(0, len(COUNTRIES), n).tolist(), texts(at, n).to_pylist()
    with open(path, "w") as out:
        for row in range(n):
            out.write(f'{{"id":{row},"price":{prices[row]},"qty":{quantities[row]},"country":"{COUNTRIES[countries[row]]}",'
                      f'"ts":"{stamps[row]}Z","name":"{names[row]}"}}\n')


TABLES = {"ints": (ints, {"compression": "none", "use_dictionary": False}), "rows": (rows, {}), "strings": (strings, {}), "geo": (geo, {})}


def make(folder: Path, name: str) -> Path:
    """The path of a file, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f"{name}.ndjson" if name == "events" else f"{name}.parquet")
    if path.exists():
        return path
    print(f"making {path}", flush=True)
    at = np.random.Generator(np.random.PCG64([SEED, sum(name.encode())]))
    unfinished = path.with_suffix(".part")
    if name == "events":
        write_events(unfinished, at)
    else:
        table, options = TABLES[name]
        pq.write_table(table(at), unfinished, row_group_size=ROW_GROUP, **options)
    unfinished.rename(path)
    return path
