//! `scalebench-runner`: see the library.

#[global_allocator]
static HEAP: scalebench_runner::Heap = scalebench_runner::HEAP;

fn main() -> std::process::ExitCode {
    if scalebench_runner::init::is_first() {
        scalebench_runner::init::run();
    }
    scalebench_runner::main(std::env::args_os().skip(1))
}
