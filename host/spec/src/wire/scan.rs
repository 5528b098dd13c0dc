//! SQL texts cut into tokens and measured before a parser sees them: length, nesting, and how deep the tree of an
//! expression would become. What the tokens mean is the engine's business, except for the few statements of `sql`.
//!
//! Parsers, optimizers and evaluators walk expressions by recursion, and a chain such as `1 + 1 + 1 …` is as deep as it is
//! long. The limits here are far below what any of them was seen to bear.

use crate::limits::{SQL_BYTES_MAX, SQL_CHAIN_MAX, SQL_CHAIN_SUM_MAX, SQL_DEPTH_MAX, SQL_JOINS_MAX, SQL_UNIONS_MAX};
use crate::{Code, Failure, Position};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// A quoted identifier.
    Quoted,
    /// A string literal.
    Text,
    Number,
    Symbol,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Token<'_> {
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Symbol) && self.text.eq_ignore_ascii_case(word)
    }

    /// What stands between the quotes, where there are some.
    pub(super) fn content(&self) -> String {
        let inner = |quote: &str| {
            let inner = self.text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)).unwrap_or_default();
            inner.replace(&quote.repeat(2), quote)
        };
        match self.kind {
            Kind::Quoted if self.text.starts_with('`') => inner("`"),
            Kind::Quoted => inner("\""),
            Kind::Text if self.text.starts_with('$') => {
                let tag = self.text.get(1..).and_then(|rest| rest.find('$')).map_or(0, |at| at + 2);
                self.text.get(tag..self.text.len().saturating_sub(tag)).unwrap_or_default().to_owned()
            }
            Kind::Text => inner("'"),
            _ => self.text.to_owned(),
        }
    }
}

/// Cuts a text.
///
/// # Errors
/// [`Code::SqlTooLarge`] for one that is too long, [`Code::SqlSyntax`] for a literal or comment that does not end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Failure> {
    if text.len() > SQL_BYTES_MAX {
        let message = format!("the SQL has {} bytes, at most {SQL_BYTES_MAX} are allowed", text.len());
        return Err(Failure::new(Code::SqlTooLarge, message).hint("put values into 'data' or a dataset, and join with it"));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (kind, length) = next(rest).ok_or_else(|| {
            let failure = Failure::new(Code::SqlSyntax, "a text, a name or a comment that begins here does not end");
            failure.position(place(text, at))
        })?;
        if let (Some(kind), Some(piece)) = (kind, rest.get(..length)) {
            tokens.push(Token { kind, text: piece, at });
        }
        at += length;
    }
    Ok(tokens)
}

/// The kind (none for space and comments) and length of what comes next; nothing where it does not end.
fn next(rest: &str) -> Option<(Option<Kind>, usize)> {
    let first = rest.chars().next()?;
    let run = |is: fn(char) -> bool| rest.find(|letter| !is(letter)).unwrap_or(rest.len());
    if first.is_whitespace() {
        return Some((None, run(char::is_whitespace)));
    }
    if rest.starts_with("--") {
        return Some((None, rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return comment(rest).map(|length| (None, length));
    }
    match first {
        '\'' => quoted(rest, '\'').map(|length| (Some(Kind::Text), length)),
        '"' | '`' => quoted(rest, first).map(|length| (Some(Kind::Quoted), length)),
        '$' => match dollar(rest) {
            Some(found) => found.map(|length| (Some(Kind::Text), length)),
            None => Some((Some(Kind::Symbol), 1)),
        },
        _ if first.is_ascii_digit() => Some((Some(Kind::Number), run(|letter| letter.is_ascii_alphanumeric() || letter == '.'))),
        _ if first.is_alphabetic() || first == '_' => Some((Some(Kind::Word), run(|letter| letter.is_alphanumeric() || letter == '_'))),
        ':' if rest.starts_with("::") => Some((Some(Kind::Symbol), 2)),
        _ => Some((Some(Kind::Symbol), first.len_utf8())),
    }
}

fn comment(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let left = rest.get(at..)?;
        let step = if left.starts_with("/*") {
            depth += 1;
            2
        } else if left.starts_with("*/") {
            depth -= 1;
            2
        } else {
            left.chars().next()?.len_utf8()
        };
        at += step;
        if depth == 0 {
            return Some(at);
        }
    }
}

fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == quote && letters.next_if(|(_, letter)| *letter == quote).is_none() {
            return Some(at + 1);
        }
    }
    None
}

/// A text between dollars, `$$…$$` or `$tag$…$tag$`; the outer none is for a dollar that begins none, as in `$1`.
fn dollar(rest: &str) -> Option<Option<usize>> {
    let tag_end = rest.get(1..)?.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))? + 1;
    if !rest.get(tag_end..)?.starts_with('$') || rest.get(1..2)?.chars().all(|letter| letter.is_ascii_digit()) {
        return None;
    }
    let tag = rest.get(..=tag_end)?;
    let found = rest.get(tag.len()..).and_then(|body| body.find(tag));
    Some(found.map(|at| at + 2 * tag.len()))
}

/// Where some words and operators stand in a text; operators only where they have two sides. Nowhere in a text that cannot
/// be cut.
#[must_use]
pub fn places(text: &str, wanted: &[&str]) -> Vec<Position> {
    /// Words behind which an operator has one side only.
    const BEFORE: &[&str] =
        &["select", "distinct", "all", "when", "then", "else", "and", "or", "not", "between", "in", "by", "where", "on", "having", "as"];
    let tokens = tokens(text).unwrap_or_default();
    let has_left = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        before.is_some_and(|token| match token.kind {
            Kind::Word => !BEFORE.iter().any(|word| token.is(word)),
            Kind::Symbol => matches!(token.text, ")" | "]"),
            Kind::Quoted | Kind::Text | Kind::Number => true,
        })
    };
    let is_wanted = |at: usize, token: &Token<'_>| {
        let is_one = wanted.iter().any(|word| token.is(word));
        is_one && (token.kind == Kind::Word || has_left(at)) && !(token.text == "*" && tokens.get(at + 1).is_some_and(|next| next.is(")")))
    };
    tokens.iter().enumerate().filter(|(at, token)| is_wanted(*at, token)).map(|(_, token)| place(text, token.at)).collect()
}

/// The place of a byte of a text.
#[must_use]
pub fn place(text: &str, at: usize) -> Position {
    /// Most characters of a line that a failure shows.
    const SHOWN_MAX: usize = 120;
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_text = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    let column = text.get(start..at).unwrap_or_default().chars().count();
    // Of a long line the part around the place is shown.
    let skipped = column.saturating_sub(SHOWN_MAX / 2);
    let shown: String = line_text.chars().skip(skipped).take(SHOWN_MAX).map(|letter| if letter == '\t' { ' ' } else { letter }).collect();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position {
        line: number(before.matches('\n').count() + 1),
        column: number(column + 1),
        excerpt: format!("{shown}\n{}^", " ".repeat(column - skipped)),
    }
}

/// Words that make the tree of an expression deeper, as operators do.
const OPERATORS: &[&str] =
    &["and", "or", "not", "is", "in", "like", "ilike", "between", "similar", "div", "collate", "at", "case", "interval"];

/// One open bracket.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    /// Depth of the expression under way.
    now: usize,
    /// The deepest in this bracket.
    most: usize,
}

/// Refuses what is too deep or wide for anybody who walks it.
///
/// # Errors
/// [`Code::SqlTooDeep`] with its place.
pub(super) fn guard(text: &str, tokens: &[Token<'_>]) -> Result<(), Failure> {
    let deep = |token: &Token<'_>, message: String, hint: &str| {
        Err(Failure::new(Code::SqlTooDeep, message).hint(hint).position(place(text, token.at)))
    };
    let mut levels = vec![Level::default()];
    let (mut unions, mut joins, mut sum) = (0_usize, 0_usize, 0_usize);
    for token in tokens {
        let is_word = token.kind == Kind::Word;
        if is_word && ["union", "intersect", "except", "minus"].iter().any(|word| token.is(word)) {
            unions += 1;
        }
        if is_word && token.is("join") {
            joins += 1;
        }
        let opens = (token.kind == Kind::Symbol && matches!(token.text, "(" | "[" | "{")) || (is_word && token.is("case"));
        let closes = (token.kind == Kind::Symbol && matches!(token.text, ")" | "]" | "}")) || (is_word && token.is("end"));
        if opens {
            levels.push(Level::default());
        } else if closes && levels.len() > 1 {
            if let (Some(inner), Some(outer)) = (levels.pop(), levels.last_mut()) {
                outer.now = outer.now.max(inner.most.max(inner.now)) + 1;
            }
        } else if let Some(level) = levels.last_mut() {
            let is_operator = match token.kind {
                Kind::Symbol => !matches!(token.text, "," | ";" | "."),
                Kind::Word => OPERATORS.iter().any(|word| token.is(word)),
                _ => false,
            };
            if is_operator {
                level.now += 1;
                sum += level.now;
            } else if token.kind == Kind::Symbol && token.text != "." {
                *level = Level { now: 0, most: level.most.max(level.now) };
            }
        }
        if levels.len() > SQL_DEPTH_MAX {
            return deep(
                token,
                format!("the SQL nests deeper than {SQL_DEPTH_MAX} levels"),
                "name parts of it by WITH, or make datasets of them",
            );
        }
        if levels.last().is_some_and(|level| level.now > SQL_CHAIN_MAX) {
            let message = format!("an expression has more than {SQL_CHAIN_MAX} operators one upon the other");
            return deep(token, message, "compare with a list by IN, or put the values into a dataset and join with it");
        }
        if sum > SQL_CHAIN_SUM_MAX {
            let message = "there are too many operators in long chains".to_owned();
            return deep(token, message, "compare with a list by IN, or put the values into a dataset and join with it");
        }
        if unions > SQL_UNIONS_MAX {
            return deep(
                token,
                format!("more than {SQL_UNIONS_MAX} UNION, INTERSECT or EXCEPT in one statement"),
                "use VALUES for rows of constants",
            );
        }
        if joins > SQL_JOINS_MAX {
            return deep(token, format!("more than {SQL_JOINS_MAX} joins in one statement"), "make datasets of parts of it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Kind, guard, place, tokens};
    use crate::Code;

    fn cut(text: &str) -> Vec<&str> {
        tokens(text).expect(text).iter().map(|token| token.text).collect()
    }

    fn code(text: &str) -> Option<Code> {
        tokens(text).and_then(|tokens| guard(text, &tokens)).err().map(|failure| failure.code)
    }

    #[test]
    fn texts_are_cut() {
        assert_eq!(cut("a.b+'x''y' -- no\n/* /* */ */\"q\"\"r\" 1.5e3"), ["a", ".", "b", "+", "'x''y'", "\"q\"\"r\"", "1.5e3"]);
        assert_eq!(cut("$1 $$a'b$$ $t$x$$y$t$ ::"), ["$", "1", "$$a'b$$", "$t$x$$y$t$", "::"]);
        assert_eq!(tokens("$$x => x$$").expect("a text")[0].content(), "x => x");
        assert_eq!(tokens("'it''s'").expect("a text")[0].content(), "it's");
        assert_eq!(tokens("`a`").expect("a name")[0].kind, Kind::Quoted);
        for open in ["'a", "\"a", "/* a", "$$ a"] {
            assert_eq!(code(open), Some(Code::SqlSyntax), "{open}");
        }
    }

    #[test]
    fn depth_is_measured() {
        assert_eq!(code("SELECT (a + b) * 2, c FROM t WHERE a = 1 OR b IN (1, 2, 3)"), None);
        assert_eq!(code(&format!("SELECT {}1", "1 + ".repeat(10_000))), Some(Code::SqlTooDeep));
        assert_eq!(code(&format!("SELECT {}1", "NOT ".repeat(10_000))), Some(Code::SqlTooDeep));
        assert_eq!(code(&format!("SELECT 1{}", "::int".repeat(10_000))), Some(Code::SqlTooDeep));
        assert_eq!(code(&format!("SELECT {}", "(".repeat(10_000))), Some(Code::SqlTooDeep));
        assert_eq!(code(&format!("SELECT {}", "CASE WHEN a THEN ".repeat(10_000))), Some(Code::SqlTooDeep));
        assert_eq!(code(&format!("SELECT 1{}", " UNION SELECT 1".repeat(5_000))), Some(Code::SqlTooDeep));
        assert_eq!(code(&format!("SELECT 1 FROM a{}", " JOIN a".repeat(5_000))), Some(Code::SqlTooDeep));
        assert_eq!(code(&format!("SELECT {}(1)", "(1 + ".repeat(60) + &"1 + ".repeat(1000))), Some(Code::SqlTooDeep));
        let long = format!("1{}, ", " + 1".repeat(450));
        assert_eq!(code(&format!("SELECT {}1", long.repeat(9))), None);
        assert_eq!(code(&format!("SELECT {}1", long.repeat(11))), Some(Code::SqlTooDeep));
        assert_eq!(code(&format!("SELECT a IN ({}0)", "-1, ".repeat(10_000))), None);
        assert_eq!(code(&" ".repeat(2 << 20)), Some(Code::SqlTooLarge));
    }

    #[test]
    fn places_are_shown() {
        let found = place("SELECT a\nFROM b", 14);
        assert_eq!((found.line, found.column, found.excerpt.as_str()), (2, 6, "FROM b\n     ^"));
    }
}
