//! `scalebench-runner`: see the library.

fn main() -> std::process::ExitCode {
    scalebench_runner::main(std::env::args_os().skip(1))
}
