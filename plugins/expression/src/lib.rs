//! JavaScript functions compiled to WebAssembly components: text and element types in, one component of the world
//! `lambda` out.
//!
//! # The language
//!
//! | what | how |
//! |---|---|
//! | Functions | arrow functions and function expressions, TypeScript's annotations ignored; parameters with defaults, patterns and rest |
//! | Statements | `const`, `let`, `var`, blocks, `if`, `switch`, `for`, `for … of`, `for … in`, `while`, `do`, labels, `break`, `continue`, `return`, `throw` |
//! | Local functions | arrow functions and declarations, which are written where they are called; closures over what is around them |
//! | Operators | all but `delete`, `await`, `yield`; `instanceof` and `in` where the type decides |
//! | Assignments | to variables, by patterns, `++`, `--`, `+=` and the like, `??=`; to properties of objects and elements of lists that have one name |
//! | Lists | literals with `...`, and `at concat every fill filter find findIndex findLast findLastIndex flat flatMap forEach includes indexOf join lastIndexOf length map pop push reduce reduceRight reverse shift slice some sort splice toReversed toSorted unshift`; `Array.from`, `Array.of`, `Array.isArray`, `Array(n).fill(x)`; sets that are gone through, asked or counted at once |
//! | Strings | templates, `length`, characters by number, all methods but those of regular expressions and `normalize` |
//! | Numbers | `Math`, `Number`, `parseInt`, `parseFloat`, `isNaN`, `isFinite`, `toFixed` and the like |
//! | Dates | `new Date(x)` of numbers, texts and parts, getters, `toISOString`, `toString`, `Date.parse`, `Date.UTC`; local time is UTC |
//! | Objects | literals with `...`, `Object.keys`, `values`, `entries`, `assign`; `JSON.stringify` of a value |
//!
//! What else is valid is answered with [`DiagnosticKind::Unsupported`]: regular expressions, recursion, objects whose
//! property names are data, `try`, classes, `Map`, and values of several types where a column holds one. An interpreter
//! may take it, as [`script`] makes it fit for one. The other kinds mean that the function is wrong whatever runs it, but for
//! faults of types and of names of properties, which an interpreter's answers may disprove.
//!
//! A function means what Node makes of it; every difference is listed in the README of this crate.
//!
//! Running components, the host's batches and the plan of a job are the engine's; this crate knows no Arrow.

mod check;
mod compile;
mod component;
mod emit;
mod error;
mod fuse;
mod guard;
mod kind;
mod link;
mod model;
mod parse;
mod runtime;
mod script;
mod syntax;
mod tree;

pub use compile::compile;
pub use error::{Diagnostic, DiagnosticKind};
pub use model::{Compiled, Element, End, Field, Lambda, Pipeline, Step, Type};
pub use script::{Arguments, Reads, Script, arguments, missing, script};
