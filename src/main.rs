//! The life of the process: flags → log → settings → start → wait for a signal → drain → exit.

use std::process::ExitCode;

use pws_fast::cli::{self, Command, Options};
use pws_fast::config::{Config, Mistake};
use pws_fast::observe::logs;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `EX_USAGE` of sysexits.h: what was asked for cannot be done as asked.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(Command::Run(options)) => run(options),
        Ok(Command::CheckConfig(options)) => check_config(options),
        Err(told) => {
            // Nobody is left to tell when standard output or error is closed.
            let _ = told.print();
            match told.use_stderr() {
                true => ExitCode::from(EXIT_USAGE),
                false => ExitCode::SUCCESS,
            }
        }
    }
}

fn check_config(options: Options) -> ExitCode {
    match options.load() {
        Ok(config) => {
            for note in &config.notes {
                println!("note: {note}");
            }
            println!("ok");
            ExitCode::SUCCESS
        }
        Err(mistakes) => refuse(&mistakes),
    }
}

fn run(options: Options) -> ExitCode {
    if let Err(why) = logs::start(options.log_level.as_deref()) {
        eprintln!("{why}");
        return ExitCode::from(EXIT_USAGE);
    }
    let config = match options.load() {
        Ok(config) => config,
        Err(mistakes) => return refuse(&mistakes),
    };
    tell(&config);
    ExitCode::SUCCESS
}

fn tell(config: &Config) {
    tracing::info!(
        "pws-fast {} on {} CPUs",
        env!("CARGO_PKG_VERSION"),
        config.cores.len()
    );
    for note in &config.notes {
        tracing::warn!("{note}");
    }
}

fn refuse(mistakes: &[Mistake]) -> ExitCode {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
    ExitCode::from(EXIT_USAGE)
}
