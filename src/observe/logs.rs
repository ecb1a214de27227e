//! The log: one line per event on standard error.

use std::io::IsTerminal;

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
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| error.to_string())
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
