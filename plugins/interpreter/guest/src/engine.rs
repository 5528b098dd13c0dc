//! The one engine of an instance: its start, its globals, evaluating a lambda, and what an exception says.

use crate::value::Value;
use azora_guest::{Failure, FailureCode};
use rquickjs_sys as qjs;
use std::cell::Cell;
use std::ffi::CString;

/// Of the engine's own stack, behind which it throws a `RangeError`. The host's stack must last as long.
const STACK_BYTES_MAX: usize = 160 << 10;
/// Characters of a message that are kept.
const MESSAGE_CHARACTERS_MAX: usize = 1000;

thread_local! {
    static CONTEXT: Cell<*mut qjs::JSContext> = const { Cell::new(std::ptr::null_mut()) };
}

/// The context of this instance; [`enter`] comes before everything else.
pub(crate) fn context() -> *mut qjs::JSContext {
    CONTEXT.get()
}

/// The engine was built to ask for the time. There is none: nothing that a lambda may ask depends on it.
#[unsafe(no_mangle)]
extern "C" fn __rquickjs_host_now_us() -> f64 {
    0.0
}

/// Starts the engine ahead: `cargo xtask interpreter` calls it and keeps the memory that it leaves, so that no instance
/// has to. 0 where all went well.
#[unsafe(export_name = "azora-initialise")]
extern "C" fn initialise() -> i32 {
    i32::from(start().is_err())
}

/// Starts the engine and puts its globals in order, unless that was done.
fn start() -> Result<(), Failure> {
    if !context().is_null() {
        return Ok(());
    }
    // SAFETY: the runtime and its context live as long as the instance.
    let context = unsafe {
        let runtime = qjs::JS_NewRuntime();
        if runtime.is_null() {
            return Err(Failure::internal("the engine does not start"));
        }
        qjs::JS_SetMaxStackSize(runtime, STACK_BYTES_MAX as _);
        qjs::JS_NewContext(runtime)
    };
    if context.is_null() {
        return Err(Failure::internal("the engine does not start"));
    }
    CONTEXT.set(context);
    match evaluate(include_str!("prelude.js"), "prelude") {
        value if value.is_exception() => Err(Failure::internal(format!("the prelude failed: {}", exception().message))),
        _ => Ok(()),
    }
}

/// Makes sure that the engine is there. It measures its stack from here.
pub(crate) fn enter() -> Result<(), Failure> {
    start()?;
    // SAFETY: the context was made by `start`.
    unsafe { qjs::JS_UpdateStackTop(qjs::JS_GetRuntime(context())) }
    Ok(())
}

fn evaluate(text: &str, file: &str) -> Value {
    let length = text.len();
    let (text, file) = (CString::new(text).unwrap_or_default(), CString::new(file).unwrap_or_default());
    // SAFETY: both texts end with a zero and outlive the call.
    Value::own(unsafe { qjs::JS_Eval(context(), text.as_ptr(), length as _, file.as_ptr(), qjs::JS_EVAL_TYPE_GLOBAL as _) })
}

/// The function that a lambda's text stands for.
pub(crate) fn function(text: &str) -> Result<Value, Failure> {
    let text = text.trim_end().trim_end_matches(';');
    if text.contains('\0') {
        return Err(Failure::unsupported("the text holds a zero character"));
    }
    let value = evaluate(&format!("({text}\n)"), "lambda");
    // SAFETY: the value is alive.
    if value.is_exception() {
        let thrown = exception();
        return Err(Failure::unsupported(thrown.message));
    }
    // SAFETY: the value is alive.
    match unsafe { qjs::JS_IsFunction(context(), value.raw()) } {
        true => Ok(value),
        false => Err(Failure::unsupported("the text is not a function")),
    }
}

/// What was thrown.
#[derive(Debug)]
pub(crate) struct Thrown {
    pub(crate) message: String,
    pub(crate) code: FailureCode,
}

/// Takes the exception that waits. Where the engine is out of memory this does not return: the host knows the limit, and
/// says it better.
pub(crate) fn exception() -> Thrown {
    // SAFETY: the engine gives the exception away.
    let value = Value::own(unsafe { qjs::JS_GetException(context()) });
    let mut message = match (unsafe { qjs::JS_IsError(value.raw()) }, value.to_text()) {
        (_, Some(text)) if text != "[object Object]" => text,
        _ => {
            let mut json = Vec::new();
            if value.to_json(&mut json) { String::from_utf8_lossy(&json).into_owned() } else { "a value without a text".to_owned() }
        }
    };
    // Where there was no memory for the error itself, null was thrown.
    if message == "InternalError: out of memory" || value.is_nullish() && is_memory_gone() {
        out_of_memory();
    }
    if let Some((at, _)) = message.char_indices().nth(MESSAGE_CHARACTERS_MAX) {
        message.truncate(at);
        message.push('…');
    }
    Thrown { message, code: FailureCode::User }
}

/// Whether not even a little memory is to be had.
fn is_memory_gone() -> bool {
    let layout = std::alloc::Layout::new::<[u8; 4096]>();
    // SAFETY: the layout has a size, and the block goes back at once.
    unsafe {
        let block = std::alloc::alloc(layout);
        if block.is_null() {
            return true;
        }
        std::alloc::dealloc(block, layout);
    }
    false
}

/// Ends the instance.
pub(crate) fn out_of_memory() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}
