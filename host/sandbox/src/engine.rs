//! The one wasmtime engine of a process: its settings, its pool and its clock. No component and no store lives here.

use crate::{Error, Options, Result};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Address space of a linear memory. Anything less brings bounds checks back into every load and store.
const MEMORY_RESERVATION: u64 = 4 << 30;
/// Of a linear memory, kept between two uses of its slot in place of being given back to the system.
const MEMORY_KEEP_RESIDENT: usize = 1 << 20;
/// Core instances of one component: a module of its own, an adapter, and what dynamic linking adds.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// Memories and tables of one component.
const PARTS_PER_COMPONENT: u32 = 32;
/// Slots of core instances for each instance; components with more than that many share what is left.
const CORE_INSTANCES_EACH: usize = 4;
/// Slots of memories and tables for each instance.
const PARTS_EACH: usize = 2;
/// Size of a core instance's own structures; a module of 50,000 functions needs about 2 MiB.
const INSTANCE_BYTES_MAX: usize = 4 << 20;

/// Settings that change machine code. The compiling child and the server must agree on all of them.
fn code_settings(stack_bytes_max: usize) -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .consume_fuel(false)
        .concurrency_support(false)
        .memory_reservation(MEMORY_RESERVATION)
        .max_wasm_stack(stack_bytes_max)
        .relaxed_simd_deterministic(true)
        .wasm_relaxed_simd(true)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_stack_switching(false)
        .shared_memory(false)
        .gc_support(false)
        .generate_address_map(false);
    config
}

/// An engine that only compiles: it reserves no pool, so it fits under a limit of address space.
pub(crate) fn compiler(stack_bytes_max: usize) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&code_settings(stack_bytes_max))
}

/// The engine with its ticker. The ticker ends with the last clone.
#[derive(Clone)]
pub(crate) struct Engine {
    wasm: wasmtime::Engine,
    compatibility: u64,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("compatibility", &self.compatibility).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let pooled = wasmtime::Engine::new(code_settings(options.stack_bytes_max).allocation_strategy(pool(options)));
        let wasm = match pooled {
            Ok(engine) => engine,
            Err(error) => {
                // A limit of address space refuses the pool's reservation; guests then start slower, that is all.
                tracing::warn!(error = %error, "no instance pool; instances are allocated one by one");
                compiler(options.stack_bytes_max).map_err(|error| Error::engine("starting", error))?
            }
        };
        start_ticker(&wasm, options.tick)?;
        let mut hasher = DefaultHasher::new();
        wasm.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { wasm, compatibility: hasher.finish() })
    }

    pub(crate) const fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// Changes with every setting and version that makes an artefact unusable.
    pub(crate) const fn compatibility(&self) -> u64 {
        self.compatibility
    }
}

fn pool(options: &Options) -> InstanceAllocationStrategy {
    let slots = |each: usize| u32::try_from(options.instances_max.saturating_mul(each)).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(slots(1))
        .total_core_instances(slots(CORE_INSTANCES_EACH))
        .total_memories(slots(PARTS_EACH))
        .total_tables(slots(PARTS_EACH))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(PARTS_PER_COMPONENT)
        .max_tables_per_component(PARTS_PER_COMPONENT)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_memory_size(options.memory_bytes_max)
        .table_elements(options.table_elements_max)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT)
        .table_keep_resident(MEMORY_KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}

fn start_ticker(engine: &wasmtime::Engine, tick: Duration) -> Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("azora-epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(tick);
            }
        })
        .map(drop)
        .map_err(|source| Error::Io { action: "starting the epoch ticker", source })
}
