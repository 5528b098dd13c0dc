//! The body of one function while it is written: instructions, local variables, labels.

use std::collections::HashMap;
use wasm_encoder::{BlockType, Function, Ieee64, InstructionSink, ValType};

/// A value that is at hand: a local variable that no longer changes, or a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op {
    Local(u32),
    I32(i32),
    I64(i64),
    F64(f64),
}

/// A block that can be left; found again however deep the code has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(u32);

/// Which local variables were taken, to take them again for code that runs later.
#[derive(Debug, Clone, Default)]
pub(super) struct Mark(HashMap<ValType, usize>);

#[derive(Debug)]
pub(super) struct Code {
    bytes: Vec<u8>,
    locals: Vec<ValType>,
    params: u32,
    pools: HashMap<ValType, Vec<u32>>,
    used: HashMap<ValType, usize>,
    depth: u32,
}

impl Code {
    pub(super) fn new(params: u32) -> Self {
        Self { bytes: Vec::new(), locals: Vec::new(), params, pools: HashMap::new(), used: HashMap::new(), depth: 0 }
    }

    pub(super) fn i(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.bytes)
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn variables(&self) -> usize {
        self.locals.len()
    }

    pub(super) fn local(&mut self, ty: ValType) -> u32 {
        let pool = self.pools.entry(ty).or_default();
        let used = self.used.entry(ty).or_default();
        *used += 1;
        if let Some(local) = pool.get(*used - 1) {
            return *local;
        }
        let local = self.params + u32::try_from(self.locals.len()).unwrap_or(u32::MAX);
        self.locals.push(ty);
        pool.push(local);
        local
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.used.clone())
    }

    /// Values taken since the mark are dead from here on.
    pub(super) fn release(&mut self, mark: &Mark) {
        self.used.clone_from(&mark.0);
    }

    pub(super) fn push(&mut self, op: Op) {
        match op {
            Op::Local(local) => self.i().local_get(local),
            Op::I32(value) => self.i().i32_const(value),
            Op::I64(value) => self.i().i64_const(value),
            Op::F64(value) => self.i().f64_const(Ieee64::from(value)),
        };
    }

    /// Moves the value on the stack into a variable of its own.
    pub(super) fn take(&mut self, ty: ValType) -> Op {
        let local = self.local(ty);
        self.i().local_set(local);
        Op::Local(local)
    }

    pub(super) fn set(&mut self, local: u32, op: Op) {
        if op != Op::Local(local) {
            self.push(op);
            self.i().local_set(local);
        }
    }

    pub(super) fn block(&mut self) -> Label {
        self.i().block(BlockType::Empty);
        self.depth += 1;
        Label(self.depth)
    }

    pub(super) fn start_loop(&mut self) -> Label {
        self.i().loop_(BlockType::Empty);
        self.depth += 1;
        Label(self.depth)
    }

    pub(super) fn start_if(&mut self) -> Label {
        self.i().if_(BlockType::Empty);
        self.depth += 1;
        Label(self.depth)
    }

    pub(super) fn otherwise(&mut self) {
        self.i().else_();
    }

    pub(super) fn end(&mut self) {
        self.i().end();
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn br(&mut self, label: Label) {
        let depth = self.depth - label.0;
        self.i().br(depth);
    }

    pub(super) fn br_if(&mut self, label: Label) {
        let depth = self.depth - label.0;
        self.i().br_if(depth);
    }

    /// Forgets instructions that were written to be measured.
    pub(super) fn truncate(&mut self, size: usize) {
        self.bytes.truncate(size);
    }

    pub(super) fn finish(mut self) -> Function {
        self.i().end();
        let mut function = Function::new(self.locals.iter().map(|ty| (1, *ty)).collect::<Vec<_>>());
        function.raw(self.bytes);
        function
    }
}
