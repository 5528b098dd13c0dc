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
//! may take it. The other kinds mean that the function is wrong whatever runs it.
//!
//! # The differences
//!
//! A function means what Node makes of it, but for this:
//! - Integers are Int64 and exact as long as `+`, `-` and `*` keep them whole; leaving 64 bits is a failure (`overflow`),
//!   never another number. There is no negative zero among them.
//! - A column has one type. What would be a number here and a string there is left to an interpreter; where only a null
//!   row makes the difference (`null + null` of two strings), that row is a failure.
//! - `undefined` is stored as null, and an invalid date too. A property that is missing in some rows is null there.
//! - A property that no row has is refused as misspelt, unless something is prepared for undefined: `??`, `||`, `&&`, `?.`,
//!   `!`, `typeof`, a comparison with null, a default. So is a parameter that gets no argument and has no default.
//! - A cut through a surrogate pair leaves U+FFFD.
//! - There is no clock and no chance: equal input gives equal output.
//! - `Date.parse` reads the format of the standard and what people commonly write (`5 Jan 2024 10:20`, `1/5/2024`); another
//!   text with digits in it is a failure, where Node guesses.
//! - `localeCompare` orders ASCII and is a failure for other text. `Math.sin` and `Math.cos` may differ in the last place.
//! - An element that is put beyond the end of a list is a failure, because lists have no holes.
//! - A `throw` ends the run with its message.
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
mod syntax;
mod tree;

pub use compile::compile;
pub use error::{Diagnostic, DiagnosticKind};
pub use model::{Compiled, Element, End, Field, Lambda, Pipeline, Step, Type};
