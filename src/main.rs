//! The life of the process: flags → log → settings → start → wait for a signal → drain → exit.

use std::process::ExitCode;

use pws_fast::cli::{self, Command, Options};
use pws_fast::config::{Config, Mistake};
use pws_fast::gateway::{self, Running};
use pws_fast::observe::logs;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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
    match gateway::start(config) {
        Ok(running) => serve(running),
        Err(error) => {
            tracing::error!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until a signal, or until a shard ends by itself, which only a defect can make it do.
fn serve(running: Running) -> ExitCode {
    tell_addresses(&running);
    let stop = match stop_signals() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!("cannot wait for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = running.ended();
    let reason = flume::Selector::new()
        .recv(&stop, |signal| {
            signal.map_or("the signal handler is gone", |()| "signal")
        })
        .recv(&ended, |_| "a shard has ended")
        .wait();
    tracing::info!(
        reason,
        "stopping: open sockets get their last acks and a close frame"
    );
    match running.stop() {
        Ok(()) => ExitCode::SUCCESS,
        Err(ended) => {
            for shard in ended {
                let panic = shard.panic.unwrap_or_default();
                tracing::error!(shard = shard.index, panic, "a shard has panicked");
            }
            ExitCode::FAILURE
        }
    }
}

/// Tells of the first SIGINT or SIGTERM; a second one ends the process at once.
fn stop_signals() -> std::io::Result<flume::Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (sender, receiver) = flume::bounded(1);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for (count, signal) in signals.forever().enumerate() {
                if count > 0 {
                    std::process::exit(128 + signal);
                }
                let _ = sender.send(());
            }
        })?;
    Ok(receiver)
}

fn tell_addresses(running: &Running) {
    if let Some(embedded) = running.embedded() {
        tracing::info!(
            "no broker is configured: embedded broker on {}, memory only",
            embedded.address()
        );
    }
    if let Some(note) = &running.driver().note {
        tracing::warn!("{note}");
    }
    let address = running.address();
    tracing::info!("listening on ws://{address}");
    tracing::info!(
        "to try it, with `pip install websocket-client`: {}",
        try_line(address)
    );
}

/// One line that publishes a message and prints the ack.
fn try_line(address: std::net::SocketAddr) -> String {
    let host = match address.ip().is_unspecified() {
        true => std::net::SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    };
    format!(
        "python3 -c 'import websocket as w; s=w.create_connection(\"ws://{host}/ws/v2/producer/persistent/public/default/try\"); \
         s.send(\"{{\\\"payload\\\":\\\"aGVsbG8=\\\"}}\"); print(s.recv())'"
    )
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
