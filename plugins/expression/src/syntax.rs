//! The part of JavaScript's syntax that the compiler knows, free of the parser's own types.

use crate::error::Span;

/// `(params) => body`.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    /// The name that a function declaration or expression gives itself.
    pub(crate) name: Option<String>,
    pub(crate) params: Vec<Pattern>,
    pub(crate) rest: Option<Pattern>,
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
    Object { properties: Vec<(String, Pattern)>, rest: Option<Box<Pattern>>, span: Span },
    Array { items: Vec<Option<Pattern>>, rest: Option<Box<Pattern>>, span: Span },
    Default(Box<Pattern>, Ast),
}

#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Declare {
        pattern: Pattern,
        init: Option<Ast>,
        word: Word,
        span: Span,
    },
    Function(Function),
    Expression(Ast),
    If {
        test: Ast,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    Return(Option<Ast>),
    Throw(Ast, Span),
    Block(Vec<Statement>),
    /// `while`, `do … while` and the inner part of `for (;;)`.
    Loop(Loop),
    ForOf {
        label: Option<String>,
        head: Head,
        iterable: Ast,
        body: Vec<Statement>,
        span: Span,
    },
    ForIn {
        label: Option<String>,
        head: Head,
        object: Ast,
        body: Vec<Statement>,
        span: Span,
    },
    Switch {
        label: Option<String>,
        value: Ast,
        cases: Vec<(Option<Ast>, Vec<Statement>)>,
        span: Span,
    },
    /// A block that only `break` with its name leaves.
    Labeled(String, Vec<Statement>),
    Break(Option<String>, Span),
    Continue(Option<String>, Span),
}

/// What a declaration begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Const,
    Let,
    Var,
}

#[derive(Debug, Clone)]
pub(crate) struct Loop {
    pub(crate) label: Option<String>,
    pub(crate) test: Option<Ast>,
    pub(crate) update: Option<Ast>,
    pub(crate) body: Vec<Statement>,
    /// Whether the body runs before the first test.
    pub(crate) is_do: bool,
}

/// What each element of a `for … of` becomes.
#[derive(Debug, Clone)]
pub(crate) enum Head {
    Declare { pattern: Pattern, word: Word },
    Assign(Target),
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
    New {
        callee: Box<Ast>,
        arguments: Vec<Ast>,
    },
    /// The reach of `?.`: what stands behind a null link is not evaluated.
    Chain(Box<Ast>),
    Function(Box<Function>),
    Assign {
        operator: Assign,
        target: Box<Target>,
        value: Box<Ast>,
    },
    /// `++` and `--`: the operator is `Add` or `Sub`.
    Update {
        operator: Binary,
        target: Box<Target>,
        is_prefix: bool,
    },
    Sequence(Vec<Ast>),
    /// Only among the elements of an array and the arguments of a call.
    Spread(Box<Ast>),
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Name(String),
    /// A property or an element.
    Place(Ast),
    Pattern(Pattern),
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
    In,
    InstanceOf,
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
