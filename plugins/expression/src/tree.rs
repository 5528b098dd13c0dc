//! The typed tree between checking and emission: every conversion is a node, nothing is left to decide.
//!
//! Building it is the work of `check` and `fuse`; turning it into instructions that of `emit`.

use crate::kind::{Kind, Nulls, Ty};
use crate::model::Element;

/// A variable of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot(pub(crate) usize);

/// A block of statements that can be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Exit(pub(crate) usize);

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) node: Node,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    /// null or undefined, as the kind says; also the value of a kind that never occurs.
    Nil,
    /// A top-level column and the path to a child of it.
    Column(Vec<usize>),
    Local(Slot),
    /// A part of a present struct or tuple.
    Part(Box<Expr>, usize),
    /// A struct or tuple of these parts.
    Parts(Vec<Expr>),
    /// The value of a nullable expression, which is known to be there.
    Value(Box<Expr>),
    /// Whether a nullable expression is one of these.
    IsNil(Box<Expr>, Nulls),
    /// The same value in a wider kind.
    Widen(Box<Expr>),
    /// The value, once the first is found true; else the run fails with the message.
    Require(Box<Expr>, &'static str, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Let(Slot, Box<Expr>, Box<Expr>),
    /// Statements in which `Return` gives the value.
    Block(Vec<Stmt>),
    /// Statements, and then the value.
    Do(Vec<Stmt>, Box<Expr>),
    /// The value now, of a variable that may change before it is used.
    Fresh(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// On two Int operands, or (for subtraction from zero) the negation.
    IntMath(IntMath, Box<Expr>, Box<Expr>),
    /// Remainder by a constant that is neither 0 nor -1.
    IntRem(Box<Expr>, i64),
    FloatMath(FloatMath, Box<Expr>, Box<Expr>),
    FloatUnary(FloatUnary, Box<Expr>),
    /// On two operands of one type among Bool, Int, Float, Time.
    Compare(Compare, Box<Expr>, Box<Expr>),
    /// On two Int operands whose low 32 bits count; the answer is sign-extended, or zero-extended for the zero-filling shift.
    Bits(Bits, Box<Expr>, Box<Expr>),
    IntToFloat(Box<Expr>),
    BoolToInt(Box<Expr>),
    /// Time to Int milliseconds.
    TimeToInt(Box<Expr>),
    /// Signed 32-bit answer of a runtime function, or length of a string, as Int.
    Extend(Box<Expr>),
    /// The low 32 bits of an Int, for runtime functions that take an i32; its kind is Bool by layout only.
    Narrow(Box<Expr>),
    StrIsEmpty(Box<Expr>),
    /// A runtime function.
    Call(&'static str, Vec<Expr>),
    /// A runtime function whose special answer (all ones for strings, NaN for numbers) means undefined.
    CallOrUndefined(&'static str, Vec<Expr>),
    ListLen(Box<Expr>),
    /// Element at an Int index; undefined where there is none.
    ListGet(Box<Expr>, Box<Expr>),
    /// Element at an Int index that is known to be one.
    ListAt(Box<Expr>, Box<Expr>),
    /// The last for every element of the list, which stands in the first slot, its number in the second.
    ListMap(Slot, Option<Slot>, Box<Expr>, Box<Expr>),
    /// The elements of the list for which the last is true.
    ListFilter(Slot, Option<Slot>, Box<Expr>, Box<Expr>),
    /// A runtime function that makes a list of the first argument; the bytes of an element follow the arguments.
    ListCall(&'static str, Vec<Expr>),
    /// A Float that is known to be an integer (or is cut to one), as Int.
    FloatToInt(Box<Expr>),
    /// A Float as an index: -1 where it is not an integer.
    FloatToIndex(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntMath {
    Add,
    Sub,
    Mul,
    Min,
    Max,
    /// Addition that cannot overflow: counters of a loop over what lies in memory.
    Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FloatMath {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FloatUnary {
    Neg,
    Abs,
    Sqrt,
    Floor,
    Ceil,
    Trunc,
    Fround,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bits {
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    ShiftRightZero,
    LeadingZeros,
    Multiply,
}

#[derive(Debug, Clone)]
pub(crate) enum Stmt {
    /// A variable that keeps its first value.
    Let(Slot, Expr),
    /// A variable that `Set` may change.
    Var(Slot, Expr),
    Set(Slot, Expr),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// Only inside a `Block`.
    Return(Expr),
    /// Statements that `Leave` ends early.
    Labeled(Exit, Vec<Stmt>),
    Leave(Exit),
    /// Again and again until something inside leaves.
    Loop(Vec<Stmt>),
    /// Puts an element into the list of a variable, at most one behind its end (there without an index). The second slot
    /// says how many elements the variable's own memory has room for; 0 where the list's memory is not its own.
    Put {
        list: Slot,
        room: Slot,
        index: Option<Expr>,
        value: Expr,
    },
    /// Overwrites an element of a list that nothing else reads; the index is known to be one.
    Write {
        list: Slot,
        index: Expr,
        value: Expr,
    },
    /// Fails with a message of the lambda's own.
    Throw(Expr),
    /// Ends this row unless true.
    Keep(Expr),
    /// For each element of a list, in the slot.
    Each(Slot, Expr, Vec<Stmt>),
    /// Appends `Program::output` as a row.
    Yield,
}

/// A column that comes out.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    Made(Expr),
    /// Index of an input column that goes through unchanged.
    Passed(usize),
}

/// A value that outlives a batch.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) slot: Slot,
    /// A constant, or a tree of constants.
    pub(crate) zero: Expr,
}

/// Whether `finish` answers with a row of `Program::output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    None,
    Row,
    /// Only where this Bool slot is true.
    RowIf(Slot),
}

/// A fused pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Kinds of the top-level input columns, with a `__start` column last where the end needs one.
    pub(crate) columns: Vec<Kind>,
    pub(crate) slots: Vec<Kind>,
    pub(crate) state: Vec<State>,
    /// What is done for each input row.
    pub(crate) row: Vec<Stmt>,
    /// What is done after each batch.
    pub(crate) after_batch: Vec<Stmt>,
    /// An Int slot that sums values within one batch; with a bounded value the sum cannot overflow.
    pub(crate) partial: Option<Slot>,
    pub(crate) element: Element,
    pub(crate) output: Vec<(String, Output)>,
    pub(crate) finish: Finish,
}

impl Expr {
    pub(crate) fn new(kind: Kind, node: Node) -> Self {
        Self { kind, node }
    }

    pub(crate) fn bool(value: bool) -> Self {
        Self::new(Ty::Bool.sure(), Node::Bool(value))
    }

    pub(crate) fn int(value: i64) -> Self {
        Self::new(Ty::Int.sure(), Node::Int(value))
    }

    pub(crate) fn float(value: f64) -> Self {
        Self::new(Ty::Float.sure(), Node::Float(value))
    }

    pub(crate) fn str(value: impl Into<String>) -> Self {
        Self::new(Ty::Str.sure(), Node::Str(value.into()))
    }

    pub(crate) fn null() -> Self {
        Self::new(Kind::NULL, Node::Nil)
    }

    pub(crate) fn undefined() -> Self {
        Self::new(Kind::UNDEFINED, Node::Nil)
    }

    pub(crate) fn call(ty: Ty, name: &'static str, arguments: Vec<Self>) -> Self {
        Self::new(ty.sure(), Node::Call(name, arguments))
    }

    /// Whether using it twice costs nothing.
    pub(crate) fn is_atom(&self) -> bool {
        match &self.node {
            Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Str(_) | Node::Nil | Node::Column(_) | Node::Local(_) => true,
            Node::Part(inner, _) | Node::Value(inner) => inner.is_atom(),
            _ => false,
        }
    }

    pub(crate) fn boxed(self) -> Box<Self> {
        Box::new(self)
    }

    /// In a wider kind; the caller knows that it is one.
    pub(crate) fn widen(self, kind: &Kind) -> Self {
        if self.kind == *kind {
            return self;
        }
        match (self.node, &kind.ty) {
            (Node::Int(value), Ty::Float) if kind.is_sure() => Self::float(int_to_float(value)),
            (Node::Parts(parts), Ty::Struct(_) | Ty::Tuple(_)) if kind.is_sure() && same_names(&self.kind.ty, &kind.ty) => {
                let parts = parts.into_iter().zip(kind.ty.parts()).map(|(part, kind)| part.widen(kind)).collect();
                Self::new(kind.clone(), Node::Parts(parts))
            }
            (node, _) => Self::new(kind.clone(), Node::Widen(Self::new(self.kind, node).boxed())),
        }
    }
}

fn same_names(a: &Ty, b: &Ty) -> bool {
    match (a, b) {
        (Ty::Struct(a), Ty::Struct(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name),
        (Ty::Tuple(a), Ty::Tuple(b)) => a.len() == b.len(),
        _ => false,
    }
}

/// As JavaScript reads an integer: rounded to the nearest double.
#[expect(clippy::cast_precision_loss, reason = "rounding is the meaning")]
pub(crate) fn int_to_float(value: i64) -> f64 {
    value as f64
}
