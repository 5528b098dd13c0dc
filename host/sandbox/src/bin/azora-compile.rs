//! The compiling child as a program of its own, for whoever uses the sandbox without the server.

fn main() {
    std::process::exit(azora_sandbox::compile_main());
}
