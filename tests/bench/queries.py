"""Generated queries over small tables with nulls: Azora Spark over REST, compared with DuckDB.

Joins of every kind, subqueries below OR, NOT and CASE, groups, windows and sets, over columns that share names. An answer that
differs is printed with its query, and the program ends with 1; a refusal is counted and shown once for each message.

    python3 -m venv target/bench/venv
    target/bench/venv/bin/pip install duckdb
    cargo run --bin azora -- serve --port 4399 --data-dir target/bench/data
    target/bench/venv/bin/python tests/bench/queries.py --url http://127.0.0.1:4399 --seed 1 --queries 400
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import urllib.error
import urllib.request
from collections import Counter

import duckdb

# Columns by the kind of their values: integers, fractions, texts, booleans.
COLUMNS = {
    "t": {"a": "i", "b": "i", "f": "f", "s": "s", "p": "b"},
    "u": {"a": "i", "c": "i", "g": "f", "s": "s", "q": "b"},
    "v": {"a": "i", "w": "s"},
}
TYPES = {"i": "BIGINT", "f": "DOUBLE", "s": "VARCHAR", "b": "BOOLEAN"}
VALUES = {"i": range(-3, 5), "f": [-1.5, 0.0, 0.5, 2.0, 3.25], "s": ["", "a", "b", "ab", "B", "é"], "b": [True, False]}
NULLS = 0.25
COMPARES = ["=", "<>", "<", "<=", ">", ">="]
SHOWN_MAX = 10


class Generator:
    """Queries; a scope is a list of aliases and the tables that they stand for."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.rows = {table: self.distinct([{name: self.value(kind) for name, kind in columns.items()} for _ in range(self.pick([3, 6, 9]))])
                     for table, columns in COLUMNS.items()}

    @staticmethod
    def distinct(rows: list[dict]) -> list[dict]:
        """Each row once: of equal rows any may stand first in a window, and in another one of the same query last."""
        return list({tuple(row.values()): row for row in rows}.values())

    def pick(self, of):
        return self.random.choice(list(of))

    def chance(self, part: float) -> bool:
        return self.random.random() < part

    def value(self, kind: str):
        return None if self.chance(NULLS) else self.pick(VALUES[kind])

    def literal(self, kind: str) -> str:
        value = self.value(kind)
        if value is None:
            return f"CAST(NULL AS {TYPES[kind]})"
        if kind == "s":
            return f"'{value}'"
        return str(value).upper() if kind == "b" else f"({value})" if value < 0 else str(value)

    def column(self, scope, kind: str) -> str:
        columns = [f"{alias}.{name}" for alias, table in scope for name, of in COLUMNS[table].items() if of == kind]
        return self.pick(columns) if columns else self.literal(kind)

    def expression(self, scope, kind: str, depth: int) -> str:
        if depth <= 0 or self.chance(0.35):
            return self.column(scope, kind) if self.chance(0.75) else self.literal(kind)
        of = lambda kind: self.expression(scope, kind, depth - 1)
        test = lambda: self.condition(scope, depth - 1)
        forms = {
            "i": ["({i} {op} {i})", "coalesce({i}, {i})", "CASE WHEN {test} THEN {i} ELSE {i} END", "abs({i})", "length({s})", "nullif({i}, {i})"],
            "f": ["({f} {op} {f})", "coalesce({f}, {f})", "CASE WHEN {test} THEN {f} END"],
            "s": ["upper({s})", "({s} || {s})", "coalesce({s}, {s})"],
            "b": ["{test}"],
        }
        return self.filled(self.pick(forms[kind]), of, test)

    def filled(self, form: str, of, test) -> str:
        for mark, make in [("{op}", lambda: self.pick("+-*")), ("{test}", test), *((f"{{{kind}}}", lambda kind=kind: of(kind)) for kind in "ifs")]:
            while mark in form:
                form = form.replace(mark, make(), 1)
        return form

    def subquery(self, scope, kind: str) -> str:
        table = self.pick(name for name, columns in COLUMNS.items() if kind in columns.values())
        alias = f"z{self.random.randint(0, 99)}"
        name = self.pick(name for name, of in COLUMNS[table].items() if of == kind)
        condition = self.condition([(alias, table)], 1)
        outer = f" AND {alias}.a = {self.pick(scope)[0]}.a" if self.chance(0.35) else ""
        return f"(SELECT {alias}.{name} FROM {table} {alias} WHERE {condition}{outer})"

    def condition(self, scope, depth: int, asks: bool = False) -> str:
        """A test; `asks` lets subqueries in."""
        if depth <= 0 or self.chance(0.1):
            return self.pick([
                self.column(scope, "b"),
                f"{self.column(scope, 'i')} {self.pick(COMPARES)} {self.column(scope, 'i')}",
                f"{self.literal('i')} {self.pick(COMPARES)} {self.column(scope, 'i')}",
                f"{self.column(scope, 's')} = {self.literal('s')}",
                f"{self.column(scope, self.pick('ifsb'))} IS {self.pick(['', 'NOT '])}NULL",
            ])
        no = self.pick(["", "NOT "])
        if asks and self.chance(0.28):
            kind = self.pick("is")
            asked = self.subquery(scope, kind)
            return f"{self.expression(scope, kind, 1)} {no}IN {asked}" if self.chance(0.6) else f"{no}EXISTS {asked}"
        kind = self.pick("ifs")
        test = lambda: self.condition(scope, depth - 1, asks)
        of = lambda kind=kind: self.expression(scope, kind, depth - 1)
        return self.pick([
            lambda: f"({test()} AND {test()})",
            lambda: f"({test()} OR {test()})",
            lambda: f"NOT ({test()})",
            lambda: f"{of()} {self.pick([*COMPARES, 'IS DISTINCT FROM', 'IS NOT DISTINCT FROM'])} {of()}",
            lambda: f"{of()} {no}IN ({', '.join(self.literal(kind) for _ in range(self.random.randint(1, 3)))})",
            lambda: f"{of('i')} {no}BETWEEN {of('i')} AND {of('i')}",
            lambda: f"CASE WHEN {test()} THEN {test()} ELSE {test()} END",
            lambda: f"({test()}) IS {no}{self.pick(['TRUE', 'FALSE', 'NULL'])}",
            lambda: f"{of('s')} {no}LIKE '{self.pick(['a%', '%b', '_', '%'])}'",
        ])()

    def tables(self):
        scope = [("x0", self.pick(COLUMNS))]
        text = f"{scope[0][1]} x0"
        for at in range(1, self.pick([1, 1, 2, 2, 3])):
            table, alias = self.pick(COLUMNS), f"x{at}"
            join = self.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"])
            on = f"{self.column(scope, 'i')} = {alias}.a"
            scope = [*scope, (alias, table)]
            if join != "FULL JOIN" and self.chance(0.4):
                on += f" AND {self.condition(scope, 1)}"
            text += f" {join} {table} {alias}" + ("" if join == "CROSS JOIN" else f" ON {on}")
        return text, scope

    def aggregate(self, scope) -> str:
        value = self.expression(scope, self.pick("if"), 1)
        forms = ["count(*)", f"count({value})", f"sum({value})", f"min({value})", f"max({value})", f"avg({value})",
                 f"count(DISTINCT {self.expression(scope, self.pick('is'), 1)})", f"sum({value}) FILTER (WHERE {self.condition(scope, 1)})",
                 f"bool_or({self.condition(scope, 1)})"]
        return self.pick(forms)

    def frame(self) -> str:
        """A frame of rows or of peers; of its two ends the second is never before the first."""
        place = lambda at: "CURRENT ROW" if at == 0 else f"{abs(at)} {'PRECEDING' if at < 0 else 'FOLLOWING'}"
        first, last = sorted((self.random.randint(-3, 3), self.random.randint(-3, 3)))
        start = "UNBOUNDED PRECEDING" if self.chance(0.25) else place(first)
        end = "UNBOUNDED FOLLOWING" if self.chance(0.25) else place(last)
        return f"{self.pick(['ROWS', 'GROUPS'])} BETWEEN {start} AND {end}"

    def window(self, scope) -> str:
        """A function over a window, in an order of all columns: no two rows are equal in it."""
        value, number, part = (self.expression(scope, kind, 1) for kind in (self.pick("ifs"), self.pick("if"), self.pick("sb")))
        ways = [f"{self.pick(['ASC', 'DESC'])} NULLS {self.pick(['FIRST', 'LAST'])}" for _ in range(2)]
        columns = [f"{alias}.{name}" for alias, table in scope for name in COLUMNS[table]]
        self.random.shuffle(columns)
        every = ", ".join(f"{column} {ways[at % 2]}" for at, column in enumerate(columns))
        over = f"{f'PARTITION BY {part} ' if self.chance(0.6) else ''}ORDER BY {every}"
        if self.chance(0.3):
            ranks = ["row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", f"ntile({self.random.randint(1, 4)})",
                     f"lag({value})", f"lead({value}, 2)", f"lag({number}, 1, 99)"]
            return f"{self.pick(ranks)} OVER ({over})"
        of = [f"sum({number})", f"avg({number})", f"min({value})", f"max({value})", f"count({value})", "count(*)", f"median({number})",
              f"first_value({value})", f"last_value({value})", f"nth_value({value}, 2)", f"count(DISTINCT {value})", f"stddev({number})",
              f"var_pop({number})", f"string_agg({self.column(scope, 's')}, '-')", f"array_agg({value})", f"bit_xor({self.column(scope, 'i')})",
              f"bool_and({self.condition(scope, 1)})", f"sum({number}) FILTER (WHERE {self.condition(scope, 1)})"]
        return f"{self.pick(of)} OVER ({over} {self.frame()})"

    def query(self) -> str:
        tables, scope = self.tables()
        where = f" WHERE {self.condition(scope, 3, True)}" if self.chance(0.8) else ""
        form = self.random.random()
        if form < 0.4:
            keys = {self.expression(scope, self.pick("isb"), 1) for _ in range(self.random.randint(0, 2))}
            keys = sorted(key for key in keys if "." in key)
            values = [self.aggregate(scope) for _ in range(self.random.randint(1, 3))]
            listed = ", ".join(f"{value} AS c{at}" for at, value in enumerate([*keys, *values]))
            sets = f"{self.pick(['ROLLUP', 'CUBE'])}({', '.join(keys)})" if self.chance(0.2) else ", ".join(keys)
            having = f" HAVING {self.pick(values)} IS NOT NULL" if self.chance(0.3) else ""
            return f"SELECT {listed} FROM {tables}{where}{f' GROUP BY {sets}' if keys else ''}{having}"
        if form < 0.5:
            windows = [f"{self.window(scope)} AS c{at + 1}" for at in range(self.random.randint(1, 3))]
            return f"SELECT {self.expression(scope, 'i', 1)} AS c0, {', '.join(windows)} FROM {tables}{where}"
        if form < 0.65:
            others, beside = self.tables()
            pair = lambda scope: f"{self.expression(scope, 'i', 1)} AS c0, {self.expression(scope, 's', 1)} AS c1"
            meet = self.pick(["UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL"])
            return f"SELECT {pair(scope)} FROM {tables}{where} {meet} SELECT {pair(beside)} FROM {others} WHERE {self.condition(beside, 2, True)}"
        listed = ", ".join(f"{self.expression(scope, kind, 2)} AS c{at}" for at, kind in enumerate(self.random.sample("ifsb", 2)))
        return f"SELECT {'DISTINCT ' if self.chance(0.3) else ''}{listed} FROM {tables}{where}"


def asked(url: str, rows: dict, query: str):
    """The answer, or a refusal as a text."""
    body = {"query": query, "tables": {table: {"data": data} for table, data in rows.items()}}
    request = urllib.request.Request(f"{url}/api/v1/sql", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return [tuple(row.values()) for row in json.loads(answer.read())]
    except urllib.error.HTTPError as error:
        problem = json.loads(error.read())
        return f"{error.code} {problem.get('code')}: {problem.get('detail')}"


def plain(rows: list[tuple]) -> list[tuple]:
    """Rows in an order, with numbers as equal as nine digits are."""
    def value(of):
        if isinstance(of, list):
            return ("list", *map(value, of))
        if of is None or isinstance(of, (bool, str)):
            return ("null" if of is None else "text", str(of))
        return ("number", f"{float(of) + 0.0:.9g}")

    return sorted(tuple(map(value, row)) for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:4399")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queries", type=int, default=400)
    options = parser.parse_args()
    generator = Generator(options.seed)
    oracle = duckdb.connect()
    for table, columns in COLUMNS.items():
        oracle.execute(f"CREATE TABLE {table} ({', '.join(f'{name} {TYPES[kind]}' for name, kind in columns.items())})")
        marks = ", ".join("?" for _ in columns)
        oracle.executemany(f"INSERT INTO {table} VALUES ({marks})", [list(row.values()) for row in generator.rows[table]])
    same, other, refused = 0, 0, Counter()
    for _ in range(options.queries):
        query = generator.query()
        try:
            expect = oracle.execute(query).fetchall()
        except duckdb.Error:
            continue
        answer = asked(options.url, generator.rows, query)
        if isinstance(answer, str):
            if not refused[answer]:
                print(f"refused: {answer}\n    {query}")
            refused[answer] += 1
        elif plain(answer) == plain(expect):
            same += 1
        else:
            other += 1
            if other <= SHOWN_MAX:
                print(f"differs: {query}\n    DuckDB {plain(expect)[:8]}\n    ours   {plain(answer)[:8]}")
    print(f"{same} the same, {other} differ, {refused.total()} refused")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
