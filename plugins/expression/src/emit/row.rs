//! What is done for one row: the state of emission and the statements.

use super::code::{Code, Label, Op};
use super::columns::{Access, At, mem};
use super::output::Sinks;
use super::range::ANY;
use super::unit::{Helper, Unit};
use super::value::Slots;
use crate::kind::Kind;
use crate::tree::{Exit, Expr, IntMath, Node, Program, Slot, Stmt};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use wasm_encoder::ValType;

/// Order of `failure-code` in the contract.
const OVERFLOW: i32 = 2;
const USER: i32 = 3;

/// Emission of one function of the kernel.
pub(super) struct Row<'u, 'p> {
    pub(super) unit: &'u mut Unit,
    pub(super) program: &'p Program,
    pub(super) code: Code,
    /// Variables that keep their value.
    pub(super) values: HashMap<Slot, Slots>,
    /// Variables that change: the locals that hold them.
    pub(super) variables: HashMap<Slot, Vec<u32>>,
    pub(super) slot_bounds: Vec<u128>,
    /// Magnitude that every Int column is known to stay within.
    pub(super) column_bound: u128,
    /// Overflow checks written.
    pub(super) checks: usize,
    pub(super) columns: Vec<Option<Access>>,
    /// Columns that were loaded on every way to here.
    pub(super) loaded: HashMap<Vec<usize>, Slots>,
    /// Int columns and children that were loaded anywhere.
    pub(super) ints: BTreeSet<Vec<usize>>,
    pub(super) at: At,
    /// Whether there is a row that a failure can name.
    pub(super) has_row: bool,
    returns: Vec<(Label, Vec<u32>)>,
    exits: Vec<(Exit, Label)>,
    skip: Option<Label>,
    /// In code without branches: whether this row is still in.
    pub(super) mask: Option<Op>,
    pub(super) sinks: Option<Rc<Sinks>>,
}

impl<'u, 'p> Row<'u, 'p> {
    pub(super) fn new(unit: &'u mut Unit, program: &'p Program, params: u32) -> Self {
        let mut code = Code::new(params);
        let index = code.local(ValType::I32);
        Self {
            unit,
            program,
            code,
            values: HashMap::new(),
            variables: HashMap::new(),
            slot_bounds: vec![ANY; program.slots.len()],
            column_bound: ANY,
            checks: 0,
            columns: vec![None; program.columns.len()],
            loaded: HashMap::new(),
            ints: BTreeSet::new(),
            at: At { index, k: 0, is_block: false },
            has_row: true,
            returns: Vec::new(),
            exits: Vec::new(),
            skip: None,
            mask: None,
            sinks: None,
        }
    }

    /// Notes a fault of the compiler itself; the module is not used then.
    pub(super) fn broken(&mut self, what: &'static str) -> Slots {
        self.unit.broken.get_or_insert(what);
        Slots::new()
    }

    pub(super) fn call(&mut self, name: &'static str) {
        let index = self.unit.import(name);
        self.code.i().call(index);
    }

    pub(super) fn helper(&mut self, helper: Helper) {
        let index = self.unit.helper(helper);
        self.code.i().call(index);
    }

    /// Code that may not run: what it loads is not there behind it.
    pub(super) fn inside(&mut self, body: impl FnOnce(&mut Self)) {
        let loaded = self.loaded.clone();
        body(self);
        self.loaded = loaded;
    }

    /// Counts `index` up to (not including) `to`, one by one.
    pub(super) fn count_loop(&mut self, index: u32, to: Op, body: impl FnOnce(&mut Self)) {
        self.count_loop_by(index, to, 1, body);
    }

    pub(super) fn count_loop_by(&mut self, index: u32, to: Op, step: i32, body: impl FnOnce(&mut Self)) {
        let done = self.code.block();
        self.code.i().local_get(index);
        self.code.push(to);
        self.code.i().i32_ge_u();
        self.code.br_if(done);
        let again = self.code.start_loop();
        self.inside(body);
        self.code.i().local_get(index).i32_const(step).i32_add().local_tee(index);
        self.code.push(to);
        self.code.i().i32_lt_u();
        self.code.br_if(again);
        self.code.end();
        self.code.end();
    }

    fn push_row(&mut self) {
        if !self.has_row {
            self.code.i().i32_const(-1);
            return;
        }
        let at = self.at;
        self.code.i().local_get(at.index).i32_const(i32::try_from(at.k).unwrap_or(0)).i32_add();
    }

    fn fail(&mut self, text: Op, code: i32) {
        self.code.push(text);
        self.code.i().i32_const(code);
        self.push_row();
        self.helper(Helper::Fail);
        self.code.i().return_();
    }

    pub(super) fn fail_user(&mut self, message: &str) {
        let text = Op::I64(self.unit.statics.packed(message));
        self.fail(text, USER);
    }

    pub(super) fn fail_overflow(&mut self) {
        let text = Op::I64(self.unit.statics.packed("an integer left the 64-bit range"));
        self.fail(text, OVERFLOW);
    }

    /// Fails with what the runtime noted, if it noted anything.
    pub(super) fn fail_if_noted(&mut self) {
        self.call("failure");
        let text = self.code.take(ValType::I64);
        self.code.push(text);
        self.code.i().i64_const(0).i64_ne();
        self.code.start_if();
        self.has_row = false;
        self.fail(text, USER);
        self.has_row = true;
        self.code.end();
    }

    /// One row, as a block that `Keep` may leave.
    pub(super) fn row(&mut self, at: At, is_straight: bool) {
        let program = self.program;
        self.at = at;
        self.loaded.clear();
        let mark = self.code.mark();
        if is_straight {
            self.mask = Some(Op::I32(1));
            self.statements(&program.row);
            self.mask = None;
        } else {
            self.clear_kept();
            let skip = self.code.block();
            let outer = self.skip.replace(skip);
            self.statements(&program.row);
            self.skip = outer;
            self.code.end();
        }
        self.loaded.clear();
        self.code.release(&mark);
    }

    fn clear_kept(&mut self) {
        if let Some(kept) = self.sinks.as_ref().and_then(|sinks| sinks.kept) {
            self.code.i().local_get(kept);
            self.push_row();
            self.code.i().i32_add().i32_const(0).i32_store8(mem(0, 0));
        }
    }

    pub(super) fn statements(&mut self, statements: &[Stmt]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Let(slot, value) => self.bind(*slot, value),
            Stmt::Var(slot, value) => {
                let slots = self.value(value);
                let locals: Vec<u32> = value.kind.layout().into_iter().map(|ty| self.code.local(ty)).collect();
                self.assign(&locals, &slots);
                self.variables.insert(*slot, locals);
            }
            Stmt::Set(slot, value) => self.set(*slot, value),
            Stmt::If(test, then, otherwise) => {
                self.push_one(test);
                self.code.start_if();
                self.inside(|me| me.statements(then));
                if !otherwise.is_empty() {
                    self.code.otherwise();
                    self.inside(|me| me.statements(otherwise));
                }
                self.code.end();
            }
            Stmt::Return(value) => {
                let slots = self.value(value);
                match self.returns.last().cloned() {
                    Some((label, locals)) => {
                        self.assign(&locals, &slots);
                        self.code.br(label);
                    }
                    None => {
                        self.broken("a return outside a function");
                    }
                }
            }
            Stmt::Throw(message) => {
                let text = self.one(message);
                self.fail(text, USER);
            }
            Stmt::Labeled(exit, body) => {
                let label = self.code.block();
                self.exits.push((*exit, label));
                self.inside(|me| me.statements(body));
                self.exits.pop();
                self.code.end();
            }
            Stmt::Leave(exit) => match self.exits.iter().rev().find(|(known, _)| known == exit) {
                Some((_, label)) => self.code.br(*label),
                None => {
                    self.broken("an exit that leads nowhere");
                }
            },
            Stmt::Loop(body) => {
                // The epoch is looked at where the loop begins again, so that a loop without an end is stopped.
                let again = self.code.start_loop();
                self.inside(|me| me.statements(body));
                self.code.br(again);
                self.code.end();
            }
            Stmt::Put { list, room, index, value } => self.put(*list, *room, index.as_ref(), value),
            Stmt::Write { list, index, value } => self.write(*list, index, value),
            Stmt::Keep(test) => self.keep(test),
            Stmt::Each(slot, list, body) => self.each(*slot, list, body),
            Stmt::Yield => self.emit_yield(),
        }
    }

    fn keep(&mut self, test: &Expr) {
        let test = self.one(test);
        match (self.mask, self.skip) {
            (Some(Op::I32(1)), _) => self.mask = Some(test),
            (Some(mask), _) => {
                self.code.push(mask);
                self.code.push(test);
                self.code.i().i32_and();
                self.mask = Some(self.code.take(ValType::I32));
            }
            (None, Some(skip)) => {
                self.code.push(test);
                self.code.i().i32_eqz();
                self.code.br_if(skip);
            }
            (None, None) => {
                self.broken("a filter outside a row");
            }
        }
    }

    fn set(&mut self, slot: Slot, value: &Expr) {
        let Some(locals) = self.variables.get(&slot).cloned() else {
            self.broken("a change of what is no variable");
            return;
        };
        let mask = self.mask.filter(|mask| *mask != Op::I32(1));
        let slots = match (mask, &value.node, locals.first()) {
            (None, _, _) => self.value(value),
            (Some(mask), Node::IntMath(IntMath::Add, total, more), Some(old)) if matches!(total.node, Node::Local(local) if local == slot) =>
            {
                self.code.i().local_get(*old);
                let old = self.code.take(ValType::I64);
                let more = self.one(more);
                self.masked(more, mask);
                self.code.push(old);
                self.code.i().i64_add();
                vec![self.code.take(ValType::I64)]
            }
            (Some(mask), _, _) => {
                let new = self.value(value);
                let old: Slots = locals.iter().copied().map(Op::Local).collect();
                self.select(mask, &new, &old, &value.kind.layout())
            }
        };
        self.assign(&locals, &slots);
    }

    fn masked(&mut self, value: Op, mask: Op) {
        if value == Op::I64(1) {
            self.code.push(mask);
            self.code.i().i64_extend_i32_u();
        } else {
            self.code.push(value);
            self.code.i().i64_const(0);
            self.code.push(mask);
            self.code.i().select();
        }
    }

    fn each(&mut self, slot: Slot, list: &Expr, body: &[Stmt]) {
        let element = super::lists::element_of(&list.kind);
        let packed = self.one(list);
        let (pointer, count) = self.unpack(packed);
        self.for_each(pointer, count, &element, |me, slots| {
            me.values.insert(slot, slots);
            let skip = me.code.block();
            let outer = me.skip.replace(skip);
            me.inside(|me| me.statements(body));
            me.skip = outer;
            me.code.end();
        });
    }

    pub(super) fn block(&mut self, kind: &Kind, statements: &[Stmt]) -> Slots {
        let results: Vec<u32> = kind.layout().into_iter().map(|ty| self.code.local(ty)).collect();
        let label = self.code.block();
        self.returns.push((label, results.clone()));
        self.inside(|me| me.statements(statements));
        self.returns.pop();
        self.code.end();
        results.into_iter().map(Op::Local).collect()
    }
}
