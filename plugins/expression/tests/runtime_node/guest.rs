//! The runtime as it was built, in wasmtime; the linker is not involved.

use super::functions::{Answer, Function, Value};
use wasmtime::{Engine, Instance, Memory, Module, Store, Val};

/// The runtime, running.
pub(crate) struct Guest {
    module: Module,
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Guest {
    pub(crate) fn new() -> Self {
        Self::start(Module::new(&Engine::default(), include_bytes!("../../src/runtime.wasm")).unwrap())
    }

    fn start(module: Module) -> Self {
        let mut store = Store::new(module.engine(), ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let mut global = |name| {
            let global = instance.get_global(&mut store, name).unwrap();
            global.get(&mut store).i32().unwrap().cast_unsigned()
        };
        let (arena, heap) = (global("arena"), global("__heap_base").next_multiple_of(16));
        let mut bounds = [0; 16];
        bounds[..4].copy_from_slice(&heap.to_le_bytes());
        bounds[4..8].copy_from_slice(&heap.to_le_bytes());
        bounds[8..].copy_from_slice(&(memory.data_size(&store) as u64).to_le_bytes());
        memory.write(&mut store, usize::try_from(arena).unwrap(), &bounds).unwrap();
        Self { module, store, instance, memory }
    }

    fn call(&mut self, name: &str, arguments: &[Val]) -> Option<Val> {
        let function = self.instance.get_func(&mut self.store, name).unwrap_or_else(|| panic!("the runtime has no {name}"));
        let mut answer = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, arguments, &mut answer).unwrap_or_else(|trap| panic!("{name}{arguments:?}: {trap:?}"));
        answer.first().copied()
    }

    /// Puts bytes in the arena, followed by rubbish that no function may look at.
    fn place(&mut self, bytes: &[u8]) -> u64 {
        let rubbish = [0xFF; 40];
        let room = i32::try_from(bytes.len() + rubbish.len()).unwrap();
        let at = self.call("alloc", &[Val::I32(room)]).unwrap().i32().unwrap().cast_unsigned();
        let place = usize::try_from(at).unwrap();
        self.memory.write(&mut self.store, place, bytes).unwrap();
        self.memory.write(&mut self.store, place + bytes.len(), &rubbish).unwrap();
        u64::from(at)
    }

    fn argument(&mut self, value: &Value) -> Val {
        match value {
            Value::Text(text) => Val::I64((self.place(text.as_bytes()) | (text.len() as u64) << 32).cast_signed()),
            Value::Texts(texts) => {
                let slots: Vec<u8> =
                    texts.iter().flat_map(|text| (self.place(text.as_bytes()) | (text.len() as u64) << 32).to_le_bytes()).collect();
                Val::I64((self.place(&slots) | (texts.len() as u64) << 32).cast_signed())
            }
            Value::Number(x) => Val::F64(x.to_bits()),
            Value::Int(x) => Val::I64(*x),
            Value::Small(x) => Val::I32(*x),
            Value::Undefined | Value::Thrown => panic!("not an argument"),
        }
    }

    fn bytes(&self, packed: u64, size: usize) -> &[u8] {
        let at = usize::try_from(packed & 0xFFFF_FFFF).unwrap();
        &self.memory.data(&self.store)[at..at + usize::try_from(packed >> 32).unwrap() * size]
    }

    fn text(&self, packed: u64) -> String {
        String::from_utf8(self.bytes(packed, 1).to_vec()).expect("the runtime makes valid UTF-8")
    }

    pub(crate) fn run(&mut self, function: &Function, arguments: &[Value]) -> Value {
        let arguments: Vec<Val> = arguments.iter().map(|value| self.argument(value)).collect();
        let answer = self.call(function.name, &arguments).unwrap();
        let failure = self.call("failure", &[]).unwrap().i64().unwrap();
        let value = match (function.answer, answer) {
            _ if failure != 0 => Value::Thrown,
            (Answer::Text, Val::I64(-1)) => Value::Undefined,
            (Answer::Text, Val::I64(packed)) => Value::Text(self.text(packed.cast_unsigned())),
            (Answer::Texts, Val::I64(packed)) => {
                let slots = self.bytes(packed.cast_unsigned(), 8).chunks_exact(8);
                Value::Texts(slots.map(|slot| self.text(u64::from_le_bytes(slot.try_into().unwrap()))).collect())
            }
            (Answer::Number, Val::F64(bits)) => Value::Number(f64::from_bits(bits)),
            (Answer::Number | Answer::Flag, Val::I32(x)) => Value::Number(f64::from(x)),
            other => panic!("{}: {other:?}", function.name),
        };
        if value == Value::Thrown {
            *self = Self::start(self.module.clone());
        } else {
            self.call("arena_reset", &[]);
        }
        value
    }
}
