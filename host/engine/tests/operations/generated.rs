//! SQL that nobody wrote: texts from a small grammar, the same in every run. Whatever they ask for, no answer may be that the
//! engine failed in a way that it should not. Most fit their columns; some do not.
//!
//! `AZORA_TEST_TEXTS` (300) and `AZORA_TEST_SEED` (1) say how many and which.

use crate::support::Fixture;
use azora_spec::Blame;
use serde_json::{Value, json};

/// Deepest nesting of queries.
const DEPTH_MAX: u32 = 2;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What an expression is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Float,
    Text,
    Bool,
    Time,
    List,
}

use Type::{Bool, Float, Int, List, Text, Time};

const TYPES: [Type; 6] = [Int, Float, Text, Bool, Time, List];
/// Columns of the table `input`, and of every query in FROM.
const COLUMNS: [(&str, Type); 6] = [("a", Int), ("b", Float), ("s", Text), ("d", Bool), ("t", Time), ("l", List)];

/// What writes texts.
struct Writer {
    state: u64,
    aliases: usize,
    /// Names of the tables that an expression may use, those of queries around it first.
    tables: Vec<String>,
}

impl Writer {
    fn new(state: u64) -> Self {
        Self { state, aliases: 0, tables: Vec::new() }
    }

    /// A number below another (splitmix64).
    fn below(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 8) as usize % n
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn column(&mut self, of: Type) -> String {
        let name = COLUMNS.iter().find(|(_, known)| *known == of).unwrap().0;
        if self.chance(2) {
            return self.pick(&["nothing", "a", "z.a"]).to_owned();
        }
        // Mostly one of the query's own tables, the last ones.
        let at = if self.chance(80) { self.tables.len() - 1 } else { self.below(self.tables.len()) };
        format!("{}.{name}", self.tables[at])
    }

    fn constant(&mut self, of: Type) -> &'static str {
        match of {
            Int => self.pick(&["0", "1", "-3", "7", "NULL"]),
            Float => self.pick(&["2.5", "0.0", "-1e300", "CAST('NaN' AS DOUBLE)"]),
            Text => self.pick(&["'x'", "''", "'s1'", "'2026-01-02'"]),
            Bool => self.pick(&["true", "false", "NULL"]),
            Time => self.pick(&["now()", "TIMESTAMP '2026-01-05T00:00:00Z'", "DATE '2026-01-02'"]),
            List => self.pick(&["[1, 2]", "[]", "[NULL]"]),
        }
    }

    fn expression(&mut self, of: Type, depth: u32) -> String {
        let of = if self.chance(2) { self.pick(&TYPES) } else { of };
        if depth == 0 || self.chance(30) {
            return if self.chance(80) { self.column(of) } else { self.constant(of).to_owned() };
        }
        let next = depth - 1;
        macro_rules! e {
            ($of:expr) => {
                self.expression($of, next)
            };
        }
        match (of, self.below(12)) {
            (_, 0) => format!("CASE WHEN {} THEN {} ELSE {} END", e!(Bool), e!(of), e!(of)),
            (_, 1) => format!("coalesce({}, {})", e!(of), e!(of)),
            (_, 2) => format!("nullif({}, {})", e!(of), self.constant(of)),
            (Bool, 3) => format!("{}EXISTS ({})", self.pick(&["", "NOT "]), self.query(next, &[Int])),
            (Bool, 4) => format!("{} {}IN ({})", e!(Int), self.pick(&["", "NOT "]), self.query(next, &[Int])),
            (Bool, 5) => {
                let (operator, quantifier) = (self.pick(&["=", "<>", "<", ">="]), self.pick(&["ANY", "ALL"]));
                format!("{} {operator} {quantifier} ({})", e!(Int), self.query(next, &[Int]))
            }
            (Int | Float | Text | Time, 3) => {
                let of = if of == Float { Int } else { of };
                let word = self.pick(&["max", "min", "count"]);
                format!("(SELECT {word}(q.c0) FROM ({}) AS q)", self.query(next, &[of]))
            }
            (Bool, 6..=8) => {
                let other = self.pick(&TYPES);
                format!("({} {} {})", e!(other), self.pick(&["=", "<", ">=", "<>", "IS DISTINCT FROM"]), e!(other))
            }
            (Bool, 9) => format!("({} {} {})", e!(Bool), self.pick(&["AND", "OR"]), e!(Bool)),
            (Bool, 10) => format!("({} {} {})", e!(Text), self.pick(&["LIKE", "~", "NOT ILIKE"]), e!(Text)),
            (Bool, _) => format!("({} {})", e!(Bool), self.pick(&["IS NULL", "IS NOT TRUE", "IS UNKNOWN"])),
            (Int, 4..=6) => format!("({} {} {})", e!(Int), self.pick(&["+", "-", "*", "%", "&", "/"]), e!(Int)),
            (Int, 7) => format!("length({})", e!(Text)),
            (Int, 8) => format!("cardinality({})", e!(List)),
            (Int, 9) => format!("date_part('{}', {})", self.pick(&["day", "hour", "eon"]), e!(Time)),
            (Int, 10) => format!("CAST({} AS {})", e!(Float), self.pick(&["BIGINT", "TINYINT", "DECIMAL(10,2)"])),
            (Int, _) => format!("{}[{}]", e!(List), self.pick(&["1", "0", "-1"])),
            (Float, 4..=7) => format!("({} {} {})", e!(Float), self.pick(&["+", "-", "*", "/"]), e!(Int)),
            (Float, 8) => format!("{}({})", self.pick(&["sqrt", "ln", "floor", "abs", "round"]), e!(Float)),
            (Float, _) => format!("power({}, {})", e!(Float), e!(Int)),
            (Text, 4 | 5) => format!("({} || {})", e!(Text), e!(Text)),
            (Text, 6) => format!("substr({}, {})", e!(Text), e!(Int)),
            (Text, 7) => format!("CAST({} AS VARCHAR)", self.any(next)),
            (Text, 8) => format!("{}({})", self.pick(&["upper", "reverse", "trim", "md5", "initcap"]), e!(Text)),
            (Text, _) => format!("repeat({}, 2)", e!(Text)),
            (Time, 4..=7) => format!("date_trunc('{}', {})", self.pick(&["day", "month", "eon"]), e!(Time)),
            (Time, 8) => format!("({} {} INTERVAL '1 day')", e!(Time), self.pick(&["+", "-"])),
            (Time, _) => format!("CAST({} AS TIMESTAMP)", e!(Text)),
            (List, 4..=7) => format!("array_append({}, {})", e!(List), e!(Int)),
            (List, 8) => format!("{}[1:2]", e!(List)),
            (List, _) => format!("[{}, {}]", e!(Int), e!(Int)),
        }
    }

    fn any(&mut self, depth: u32) -> String {
        let of = self.pick(&TYPES);
        self.expression(of, depth)
    }

    fn aggregate(&mut self, of: Type, depth: u32) -> String {
        let filter = if self.chance(20) { format!(" FILTER (WHERE {})", self.expression(Bool, depth)) } else { String::new() };
        let distinct = self.pick(&["", "", "", "DISTINCT "]);
        let call = match of {
            Int => match self.below(4) {
                0 => "count(*)".to_owned(),
                1 => format!("count({distinct}{})", self.any(depth)),
                2 => format!("approx_distinct({})", self.any(depth)),
                _ => format!("{}({distinct}{})", self.pick(&["sum", "min", "max", "bit_or"]), self.expression(Int, depth)),
            },
            Float => match self.below(3) {
                0 => format!("{}({}, {})", self.pick(&["corr", "covar_samp"]), self.expression(Float, depth), self.expression(Int, depth)),
                1 => format!("{}({distinct}{})", self.pick(&["avg", "sum", "var_pop"]), self.expression(Float, depth)),
                _ => format!("{}({})", self.pick(&["stddev", "median", "var", "approx_median"]), self.expression(Float, depth)),
            },
            Text => format!("string_agg({distinct}{}, ',')", self.expression(Text, depth)),
            Bool => format!("{}({})", self.pick(&["bool_and", "bool_or"]), self.expression(Bool, depth)),
            Time => format!("{}({})", self.pick(&["min", "max", "first_value"]), self.expression(Time, depth)),
            List => format!("array_agg({distinct}{} ORDER BY 1)", self.expression(Int, depth)),
        };
        call + &filter
    }

    fn window(&mut self, of: Type, depth: u32) -> String {
        let call = match (of, self.below(3)) {
            (Int, 0) => self.pick(&["row_number()", "rank()", "ntile(3)", "ntile(0)", "dense_rank()"]).to_owned(),
            (_, 0 | 1) => format!("{}({})", self.pick(&["lag", "lead", "first_value", "last_value"]), self.expression(of, depth)),
            _ => self.aggregate(of, depth),
        };
        let mut over = String::new();
        if self.chance(50) {
            over += &format!("PARTITION BY {} ", self.any(depth));
        }
        if self.chance(60) {
            over += &format!("ORDER BY {} {} ", self.any(0), self.pick(&["", "DESC", "NULLS FIRST"]));
            if self.chance(40) {
                over += self.pick(&[
                    "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
                    "RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                    "GROUPS 2 PRECEDING",
                    "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                ]);
            }
        }
        format!("{call} OVER ({over})")
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// A query in FROM, with the columns of `input`.
    fn derived(&mut self, depth: u32) -> String {
        let query = self.query(depth, &COLUMNS.map(|(_, of)| of));
        let columns: Vec<String> = COLUMNS.iter().enumerate().map(|(at, (name, _))| format!("c{at} AS {name}")).collect();
        format!("(SELECT {} FROM ({query}) AS d)", columns.join(", "))
    }

    /// Tables of a query; their names can be used afterwards.
    fn from(&mut self, depth: u32) -> String {
        let mut from = String::new();
        let mut is_first = true;
        while is_first || self.chance(30) {
            let alias = self.alias();
            let lateral = !is_first && self.chance(20);
            let table = match self.below(4) {
                _ if lateral => format!("LATERAL {}", self.derived(0)),
                0 if depth > 0 => {
                    // What is not lateral sees the queries around alone.
                    let own = std::mem::take(&mut self.tables);
                    self.tables = own.clone();
                    let table = self.derived(depth - 1);
                    self.tables = own;
                    table
                }
                1 if self.chance(10) => self.pick(&["missing", "input, input"]).to_owned(),
                _ => "input".to_owned(),
            };
            if is_first {
                from = format!("{table} AS {alias}");
                self.tables.push(alias);
            } else {
                let kind = self.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ","]);
                let before = self.tables.last().unwrap().clone();
                self.tables.push(alias.clone());
                let on = match kind {
                    "CROSS JOIN" | "," => String::new(),
                    _ if self.chance(20) => format!(" ON {}", self.expression(Bool, 1)),
                    _ => format!(" ON {before}.a = {alias}.a"),
                };
                from += &format!(" {kind} {table} AS {alias}{on}");
            }
            is_first = false;
        }
        from
    }

    /// A query with columns `c0`, `c1`, … of such types.
    fn query(&mut self, depth: u32, of: &[Type]) -> String {
        if depth > 0 && self.chance(12) {
            let set = self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"]);
            return format!("{} {set} {}", self.query(depth - 1, of), self.query(depth - 1, of));
        }
        let outside = self.tables.len();
        let from = self.from(depth);
        let next = depth.min(2);
        let (is_grouped, is_windowed) = (self.chance(30), self.chance(15));
        let columns: Vec<String> = of
            .iter()
            .enumerate()
            .map(|(at, of)| {
                let expression = match () {
                    () if is_grouped => self.aggregate(*of, 1),
                    () if is_windowed => self.window(*of, 1),
                    () => self.expression(*of, next),
                };
                format!("{expression} AS c{at}")
            })
            .collect();
        let distinct = if self.chance(10) { "DISTINCT " } else { "" };
        let mut query = format!("SELECT {distinct}{} FROM {from}", columns.join(", "));
        if self.chance(40) {
            query += &format!(" WHERE {}", self.expression(Bool, next));
        }
        if is_grouped && self.chance(70) {
            let (key, other) = (self.any(0), self.any(0));
            query += &match self.below(4) {
                0 => format!(" GROUP BY ROLLUP ({key}, {other})"),
                1 => format!(" GROUP BY GROUPING SETS (({key}), ({other}), ())"),
                _ => format!(" GROUP BY {}", self.any(1)),
            };
            if self.chance(30) {
                query += &format!(" HAVING {}", self.pick(&["count(*) > 1", "max(1) = 1", "sum(2) > 3"]));
            }
        }
        self.tables.truncate(outside);
        query
    }

    fn text(&mut self) -> String {
        let of: Vec<Type> = (0..=self.below(3)).map(|_| self.pick(&TYPES)).collect();
        let query = self.query(DEPTH_MAX, &of);
        match self.below(6) {
            0 => format!("WITH w AS ({query}) SELECT * FROM w AS x JOIN w AS y ON x.c0 = y.c0 LIMIT 5"),
            1 => format!(
                "SELECT * FROM ({query}) AS w ORDER BY c0{}",
                self.pick(&[" LIMIT 2", " DESC", " OFFSET 1", " LIMIT 0", ", nothing"])
            ),
            _ => query,
        }
    }
}

#[test]
fn no_text_makes_the_engine_fail() {
    let fixture = Fixture::new();
    let rows: Vec<Value> = (0..12)
        .map(|n| {
            json!({"a": n % 5, "b": n as f64 / 4.0 + 0.1, "s": if n % 3 == 0 { Value::Null } else { json!(format!("s{n}")) },
                "d": n % 2 == 0, "t": format!("2026-01-{:02}T00:00:00Z", n + 1), "l": [n, n + 1]})
        })
        .collect();
    let (texts, seed) = (setting("AZORA_TEST_TEXTS", 300), setting("AZORA_TEST_SEED", 1));
    let (mut answered, mut codes, mut broken) = (0, std::collections::BTreeMap::new(), Vec::new());
    for at in 0..texts {
        let text = Writer::new(seed.wrapping_mul(1_000_003).wrapping_add(at)).text();
        let request = json!({"data": rows, "sql": text});
        match fixture.run(&request, 2) {
            Ok(_) => answered += 1,
            Err(failure) if failure.blame() == Blame::System || failure.pointer.is_none() => {
                broken.push(format!("{text}\n    {failure:?}"))
            }
            Err(failure) => *codes.entry(failure.code.as_str()).or_insert(0) += 1,
        }
    }
    assert!(broken.is_empty(), "{} of {texts} texts:\n{}", broken.len(), broken.join("\n"));
    assert!(answered * 5 > texts, "only {answered} of {texts} texts were answered, others failed with {codes:?}");
}
