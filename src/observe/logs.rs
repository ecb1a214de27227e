//! The log: one line per event on standard error.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Without `--log-level` and `RUST_LOG`. The ZooKeeper library tells every step of its session at `info`.
const DEFAULT_LEVEL: &str = "info,zookeeper_client=warn";

/// Starts logging for the whole process. `level` is a level or directives as in `RUST_LOG`, and wins over that variable.
///
/// # Errors
/// A `level` that cannot be understood, or a log that has been started before. What is wrong in `RUST_LOG` is ignored:
/// it is often set for other programs.
pub fn start(level: Option<&str>) -> Result<(), String> {
    let filter = match (level, std::env::var(EnvFilter::DEFAULT_ENV)) {
        (Some(level), _) => filter(level).map_err(|why| format!("--log-level: {why}"))?,
        (None, Ok(directives)) if !directives.is_empty() => {
            EnvFilter::builder().parse_lossy(directives)
        }
        (None, _) => EnvFilter::new(DEFAULT_LEVEL),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| OneLine(std::io::stderr()))
        // Colours are escape sequences, and could not be told from those of others.
        .with_ansi(false)
        .try_init()
        .map_err(|error| error.to_string())
}

/// What one event writes stays one line of printable text: whoever names a topic cannot write lines of the log, nor to the
/// terminal that shows it. The library escapes some control characters in some places.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    /// An event is written in one piece, its line end last.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        let text = String::from_utf8_lossy(line);
        if !text.contains(char::is_control) {
            return self.0.write_all(event).map(|()| event.len());
        }
        let mut safe = String::with_capacity(event.len() + 16);
        for char in text.chars() {
            match char.is_control() {
                true => safe.extend(char.escape_default()),
                false => safe.push(char),
            }
        }
        safe.push('\n');
        self.0.write_all(safe.as_bytes()).map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A lone word must be a level: as a directive it would name a module, and switch everything else off.
fn filter(directives: &str) -> Result<EnvFilter, &'static str> {
    let wrong =
        "not a level (error, warn, info, debug, trace, off) or directives such as pws_fast=debug";
    let word = directives.trim();
    let is_level = !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    if !is_level && !word.contains('=') {
        return Err(wrong);
    }
    EnvFilter::builder().parse(word).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of an event that shows this text as it is, and as a value.
    fn written(text: &str) -> String {
        #[derive(Clone, Default)]
        struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let shared = Shared::default();
        let writer = shared.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || OneLine(writer.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(topic = %text, value = text, "{text}");
        });
        String::from_utf8(shared.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_name_writes_no_lines_and_nothing_to_the_terminal() {
        for name in [
            "a\nWARN b",
            "a\rb",
            "a\u{1b}[2Jb",
            "a\u{9b}31m",
            "a\u{7}\u{8}\0",
        ] {
            let line = written(name);
            let text = line.strip_suffix('\n').unwrap();
            assert!(!text.contains(char::is_control), "{line:?}");
        }
        assert!(written("é\u{1f600}").contains("topic=é\u{1f600}"));
    }

    #[test]
    fn levels_and_directives_are_taken_and_typos_are_not() {
        for good in ["info", "WARN", "off", "pws_fast=debug,info", " trace "] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["", "verbose", "pws_fast", "a=b=c", "=,="] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
