//! Lambdas that never end or take all memory: the epoch and the store's limits stop them.

use crate::case::Case;
use crate::run::{Lambda, batch_of};
use std::time::{Duration, Instant};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder};

const MEMORY_BYTES_MAX: usize = 64 << 20;
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// Why a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Epoch,
    /// A trap, which is how memory that cannot be had ends.
    Trap(String),
    /// The lambda's own failure.
    Failure(String),
    /// It answered.
    Answer,
}

/// Runs one batch under an epoch and limits.
pub(crate) fn run(case: &Case) -> Stop {
    let compiled = azora_expression::compile(&case.pipeline()).unwrap_or_else(|diagnostic| panic!("{}: {diagnostic}", case.name));
    let mut config = Config::new();
    config.wasm_component_model(true).epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, &compiled.component).unwrap();
    let mut store = Store::new(&engine, StoreLimitsBuilder::new().memory_size(MEMORY_BYTES_MAX).build());
    store.limiter(|limits: &mut StoreLimits| limits);
    store.set_epoch_deadline(1);
    let lambda = Lambda::instantiate(&mut store, &component, &Linker::new(&engine)).unwrap();
    let ticker = {
        let engine = engine.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            engine.increment_epoch();
        })
    };
    let began = Instant::now();
    let answer = lambda.azora_plugin_transform().call_process(&mut store, &batch_of(case, &compiled.needs));
    assert!(began.elapsed() < STOPPED_WITHIN, "{} ran for {:?}", case.name, began.elapsed());
    ticker.join().unwrap();
    match answer {
        Ok(Ok(_)) => Stop::Answer,
        Ok(Err(failure)) => Stop::Failure(failure.message),
        Err(trap) => match trap.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::Interrupt) => Stop::Epoch,
            _ => Stop::Trap(format!("{trap:?}")),
        },
    }
}
