//! `scalebench`, the command line tool.

mod cli;
mod commands;
mod failure;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use failure::code;
use scalebench_runner::heap::Heap;
use std::process::ExitCode;

/// The virtual board is this program too.
#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> ExitCode {
    // The runner's own command line; the host starts itself with it to be its own board.
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|word| word == scalebench_runner::SUBCOMMAND)
    {
        // Ends with the host, also when that is killed. Where it cannot be had, the closed line does it.
        let _ =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        return scalebench_runner::main(arguments);
    }
    let result = match Cli::parse().command {
        Command::Run(args) => commands::run::run(&args),
        Command::Replay(args) => commands::replay::replay(&args),
        Command::Pick(args) => commands::pick::pick(&args),
        Command::Compare(args) => commands::compare::compare(&args),
        Command::List(args) => commands::keep::list(&args),
        Command::Show(args) => commands::keep::show(&args),
        Command::Report(args) => commands::report::report(&args),
        Command::Tag(args) => commands::keep::tag(&args),
        Command::Export(args) => commands::export::export(&args),
        Command::Import(args) => commands::export::import(&args),
        Command::Rm(args) => commands::keep::rm(&args),
        Command::Boards(args) => commands::lists::boards(&args),
        Command::Build(args) => commands::board::build(&args),
        Command::Image(args) => commands::board::image(&args),
        Command::Deploy(args) => commands::board::deploy(&args),
        Command::Models(args) => commands::lists::models(&args),
        Command::MlperfTiny(args) => commands::mlperf_tiny::mlperf_tiny(&args),
        Command::Link(args) => commands::link::link(&args),
        Command::Energy(args) => commands::energy::energy(&args),
        Command::Rails(args) => commands::rails::rails(&args),
        Command::Completions { shell } => {
            let mut command = Cli::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "scalebench", &mut script);
            commands::out::bytes(&script).map(|()| ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        // Names out of a model or from a board may hold anything.
        for (index, line) in error.to_string().lines().enumerate() {
            let word = if index == 0 { "error: " } else { "" };
            eprintln!("{word}{}", scalebench::text::escaped(line));
        }
        code(&error)
    })
}
