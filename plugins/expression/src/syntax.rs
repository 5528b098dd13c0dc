//! The part of JavaScript's syntax that the compiler knows, free of the parser's own types.

use crate::error::Span;

/// `(params) => body`.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) params: Vec<Pattern>,
    pub(crate) body: Body,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Expression(Ast),
    Statements(Vec<Statement>),
}

#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    Name(String, Span),
    Object { properties: Vec<(String, Pattern)>, rest: Option<String>, span: Span },
    Array { items: Vec<Option<Pattern>>, rest: Option<String>, span: Span },
    Default(Box<Pattern>, Ast),
}

#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Declare { pattern: Pattern, init: Option<Ast>, is_const: bool, span: Span },
    Expression(Ast),
    If { test: Ast, then: Vec<Statement>, otherwise: Vec<Statement> },
    Return(Option<Ast>),
    Throw(Ast, Span),
    Block(Vec<Statement>),
}

#[derive(Debug, Clone)]
pub(crate) struct Ast {
    pub(crate) span: Span,
    pub(crate) node: Syntax,
}

#[derive(Debug, Clone)]
pub(crate) enum Syntax {
    Number(f64),
    String(String),
    Boolean(bool),
    Null,
    Name(String),
    Template {
        texts: Vec<String>,
        parts: Vec<Ast>,
    },
    Array(Vec<Ast>),
    Object(Vec<Property>),
    Unary(Unary, Box<Ast>),
    Binary(Binary, Box<Ast>, Box<Ast>),
    Logical(Logical, Box<Ast>, Box<Ast>),
    Conditional(Box<Ast>, Box<Ast>, Box<Ast>),
    Member {
        object: Box<Ast>,
        name: String,
        optional: bool,
    },
    Index {
        object: Box<Ast>,
        index: Box<Ast>,
        optional: bool,
    },
    Call {
        callee: Box<Ast>,
        arguments: Vec<Ast>,
        optional: bool,
    },
    /// The reach of `?.`: what stands behind a null link is not evaluated.
    Chain(Box<Ast>),
    Function(Box<Function>),
    Assign {
        operator: Assign,
        name: String,
        value: Box<Ast>,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Property {
    Named(String, Ast),
    Spread(Ast),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Plus,
    Minus,
    Not,
    BitNot,
    TypeOf,
    Void,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    Equal,
    NotEqual,
    StrictEqual,
    StrictNotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    ShiftRightZero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    And,
    Or,
    Coalesce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assign {
    Plain,
    With(Binary),
    Logical(Logical),
}
