//! The life of the process: flags → log → settings → start → wait for a signal → drain → exit.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use pws_fast::cli::{self, Command, Options};
use pws_fast::gateway::{self, Running};
use pws_fast::observe::{logs, panics};
use pws_fast::runtime::{cores, diagnostics};
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
    let config = match options.load() {
        Ok(config) => config,
        Err(mistakes) => return refuse(&mistakes),
    };
    let further = match gateway::check(&config) {
        Ok(notes) => notes,
        Err(mistakes) => return refuse(&mistakes),
    };
    let notes = config
        .notes
        .iter()
        .chain(&further)
        .map(|note| format!("note: {note}\n"));
    let answer = notes.collect::<String>() + "ok\n";
    // A closed standard output does not change the exit status, which is the answer that counts.
    let _ = io::stdout().write_all(answer.as_bytes());
    ExitCode::SUCCESS
}

fn run(options: Options) -> ExitCode {
    if let Err(why) = logs::start(options.log_level.as_deref()) {
        return refuse(&[why]);
    }
    panics::keep_values_out();
    let config = match options.load() {
        Ok(config) => config,
        Err(mistakes) => return refuse(&mistakes),
    };
    let build = format!(
        "pws-fast {} on CPUs {} in front of {}",
        env!("CARGO_PKG_VERSION"),
        cores::format(&config.cores),
        config.brokers
    );
    let core_dumps = match config.core_dumps {
        true => Ok(()),
        false => diagnostics::forbid_core_dumps(),
    };
    let files = diagnostics::raise_file_limit();
    let started = stop_signals().and_then(|stop| Ok((stop, gateway::start(config)?)));
    match started {
        Ok((stop, running)) => {
            // The first line of the log, so that nobody takes a demo for a cluster.
            tell_embedded(&running);
            tracing::info!("{build}");
            tell_limits(&running, files.err());
            if let Err(error) = core_dumps {
                tracing::warn!("core dumps cannot be forbidden, and would hold keys: {error}");
            }
            tell_addresses(&running);
            serve(running, &stop)
        }
        Err(error) => {
            tracing::error!("{build}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until a signal, or until a shard ends by itself, which only a defect can make it do.
fn serve(running: Running, stop: &flume::Receiver<()>) -> ExitCode {
    let ended = running.ended();
    let reason = flume::Selector::new()
        .recv(stop, |signal| {
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
                let panic = panics::without_values(&shard.panic.unwrap_or_default());
                tracing::error!(shard = shard.index, panic, "a shard has panicked");
            }
            ExitCode::FAILURE
        }
    }
}

/// Tells of the first SIGINT or SIGTERM; a second one ends the process at once.
fn stop_signals() -> io::Result<flume::Receiver<()>> {
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

fn tell_embedded(running: &Running) {
    if let Some(embedded) = running.embedded() {
        tracing::info!(
            "no broker is configured: embedded broker on {}, memory only",
            embedded.address()
        );
    }
}

fn tell_limits(running: &Running, not_raised: Option<io::Error>) {
    for note in running.notes().iter().chain(&running.driver().note) {
        tracing::warn!("{note}");
    }
    if let Some(error) = not_raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
    let room = running.room();
    tracing::info!(
        "{} sockets may be open, and {} files in all: the others are for brokers and the gateway's own files",
        room.sockets,
        room.files
    );
    if let Some(asked) = room.asked {
        tracing::warn!(
            "maxHttpServerConnections={asked}: the limit of open files leaves room for {} sockets, and beyond them clients get \
             503; raise it (ulimit -n, LimitNOFILE=, docker --ulimit nofile=)",
            room.sockets
        );
    }
}

fn tell_addresses(running: &Running) {
    if let Some(address) = running.address_tls() {
        tracing::info!("listening on wss://{address}");
    }
    if let Some(address) = running.address() {
        tracing::info!("listening on ws://{address}");
        tell_how_to_try(address);
    }
}

fn tell_how_to_try(address: SocketAddr) {
    let host = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "::1".to_owned(),
        other => other.ip().to_string(),
    };
    tracing::info!("to try it: {}", try_line(&host, address.port()));
}

/// A shell line that publishes a message and prints the answer, with nothing but what Python brings along.
/// The mask of its frame is zero, which leaves the text as it is.
fn try_line(host: &str, port: u16) -> String {
    [
        r#"python3 -c 'import socket; s=socket.create_connection((""#,
        &format!(r#"{host}",{port})); "#),
        r#"s.sendall(b"GET /ws/v2/producer/persistent/public/default/try HTTP/1.1\r\nHost: x\r\n"#,
        r#"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"#,
        r#"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"); s.recv(999); "#,
        r#"m=b"{\"payload\":\"SGVsbG8=\"}"; s.sendall(bytes([129,128+len(m),0,0,0,0])+m); "#,
        r#"print(s.recv(999)[2:].decode())'"#,
    ]
    .concat()
}

fn refuse(mistakes: &[impl std::fmt::Display]) -> ExitCode {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
    ExitCode::from(EXIT_USAGE)
}
