//! `scalebench-runner`: see the library.

use scalebench_runner::heap::Heap;

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> std::process::ExitCode {
    if scalebench_runner::init::is_first() {
        scalebench_runner::init::run();
    }
    scalebench_runner::main(std::env::args_os().skip(1))
}
