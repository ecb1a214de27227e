//! Command line flags: text in, a [`Command`] out. Flags become settings, so that [`crate::config`] checks all alike.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{self, Config, Mistake, Place, Setting};

/// What the process was asked to do.
#[derive(Debug)]
pub enum Command {
    Run(Options),
    /// Only check the settings.
    CheckConfig(Options),
}

/// Where the settings are, and how much to log.
#[derive(Debug)]
pub struct Options {
    pub file: Option<PathBuf>,
    /// `--set` first, the flags of their own after it: they win.
    pub overrides: Vec<Setting>,
    /// A level, or directives as in `RUST_LOG`. None: `RUST_LOG`, else `info`.
    pub log_level: Option<String>,
}

impl Options {
    /// # Errors
    /// Every mistake in the settings, never empty.
    pub fn load(self) -> Result<Config, Vec<Mistake>> {
        config::load(self.file.as_deref(), self.overrides)
    }
}

/// # Errors
/// Wrong usage, and also `--help` and `--version`: what to print is in it, and [`clap::Error::use_stderr`] tells them apart.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let flags = Flags::try_parse_from(arguments).map_err(without_values)?;
    Ok(match flags.action {
        None => Command::Run(flags.settings.options()),
        Some(Action::Checkconfig(more)) => {
            Command::CheckConfig(flags.settings.merged(more).options())
        }
    })
}

/// The library shows the word that it does not understand. A setting that was mistyped may be a secret.
fn without_values(error: clap::Error) -> clap::Error {
    let why = match error.kind() {
        ErrorKind::ValueValidation => "--set: there is no '=' in it: --set KEY=VALUE is meant",
        ErrorKind::InvalidSubcommand => {
            "there is a word too many: checkconfig is the only one, and --set KEY=VALUE has no spaces"
        }
        _ => return error,
    };
    Flags::command().error(error.kind(), why)
}

/// A WebSocket gateway for Apache Pulsar, with the wire protocol of Pulsar's own.
///
/// With no broker configured it starts one in the process that keeps its topics in memory: for a first try.
#[derive(Parser, Debug)]
#[command(name = "pws-fast", version, after_long_help = config::own_keys_help())]
struct Flags {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Check the settings and tell every mistake (exit status 0 or 64)
    Checkconfig(SettingFlags),
}

#[derive(Args, Debug, Default)]
struct SettingFlags {
    /// Settings in the format and with the names of Pulsar's websocket.conf
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// One setting; wins over the file. May be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,

    /// Port to listen on, 0 for any free one (webServicePort) [default: 8080]
    #[arg(long)]
    port: Option<String>,

    /// Address to listen on (bindAddress) [default: 127.0.0.1, with a file 0.0.0.0]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,

    /// Brokers, pulsar://host:6650[,host:6650…] (brokerServiceUrl) [default: one in this process]
    #[arg(long, value_name = "URL")]
    broker: Option<String>,

    /// The brokers' web services, http://host:8080[,host:8080…], for lookups without --broker (serviceUrl)
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,

    /// CPUs to run on, one thread pinned to each: 0-3,8 [default: all that it may use]
    #[arg(long, value_name = "CPUS")]
    cores: Option<String>,

    /// Whether the sockets of a subscription share an upstream consumer: shared or per-socket [default: shared]
    #[arg(long, value_name = "MODE")]
    upstream: Option<String>,

    /// Never let a core sleep: lower latency for all of its CPU time (busyPoll). For machines with nothing else to do
    #[arg(long)]
    busy_poll: bool,

    /// error, warn, info, debug, trace, or directives as in RUST_LOG [default: RUST_LOG, else info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl SettingFlags {
    /// Flags may stand before or behind the action; those behind it win.
    fn merged(mut self, more: SettingFlags) -> SettingFlags {
        self.set.extend(more.set);
        SettingFlags {
            config: more.config.or(self.config),
            set: self.set,
            port: more.port.or(self.port),
            bind: more.bind.or(self.bind),
            broker: more.broker.or(self.broker),
            admin_url: more.admin_url.or(self.admin_url),
            cores: more.cores.or(self.cores),
            upstream: more.upstream.or(self.upstream),
            busy_poll: more.busy_poll || self.busy_poll,
            log_level: more.log_level.or(self.log_level),
        }
    }

    fn options(self) -> Options {
        let set = self.set.into_iter().map(|(key, value)| Setting {
            key,
            value,
            place: Place::Flag("--set"),
        });
        let flags = [
            ("webServicePort", self.port, "--port"),
            ("bindAddress", self.bind, "--bind"),
            ("brokerServiceUrl", self.broker, "--broker"),
            ("serviceUrl", self.admin_url, "--admin-url"),
            ("cores", self.cores, "--cores"),
            ("upstream", self.upstream, "--upstream"),
            (
                "busyPoll",
                self.busy_poll.then(|| "true".to_owned()),
                "--busy-poll",
            ),
        ];
        let named = flags.into_iter().filter_map(|(key, value, flag)| {
            Some(Setting {
                key: key.to_string(),
                value: value?.trim().to_string(),
                place: Place::Flag(flag),
            })
        });
        Options {
            file: self.config,
            overrides: set.chain(named).collect(),
            log_level: self.log_level,
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("there is no '=' in it")?;
    Ok((key.trim().to_string(), value.trim().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits;

    fn parse_line(line: &str) -> Result<Command, clap::Error> {
        parse(
            ["pws-fast"]
                .into_iter()
                .chain(line.split_whitespace())
                .map(OsString::from),
        )
    }

    fn options(line: &str) -> Options {
        match parse_line(line).unwrap() {
            Command::Run(options) => options,
            Command::CheckConfig(_) => panic!("not a run"),
        }
    }

    #[test]
    fn a_flag_wins_over_set_wherever_it_stands() {
        for line in [
            "--port 1 --set webServicePort=2",
            "--set webServicePort=2 --port 1",
        ] {
            let config = options(line).load().unwrap();
            assert_eq!(config.port, 1, "{line}");
        }
    }

    #[test]
    fn checkconfig_takes_its_flags_before_and_behind() {
        for line in [
            "--config a.conf checkconfig --set x=1",
            "checkconfig --config a.conf --set x=1",
            "--config b.conf checkconfig --config a.conf --set x=1",
        ] {
            let Command::CheckConfig(options) = parse_line(line).unwrap() else {
                panic!("{line}");
            };
            assert_eq!(options.file, Some(PathBuf::from("a.conf")), "{line}");
            assert_eq!(options.overrides.len(), 1, "{line}");
        }
    }

    #[test]
    fn mistakes_name_the_flag_they_were_made_with() {
        let line =
            "--port x --bind . --broker localhost --cores a --upstream no --set hubRetainedBytes=0";
        let mistakes: Vec<_> = options(line)
            .load()
            .unwrap_err()
            .iter()
            .map(Mistake::to_string)
            .collect();
        for flag in [
            "--port",
            "--bind",
            "--broker",
            "--cores",
            "--upstream",
            "--set",
        ] {
            assert!(
                mistakes
                    .iter()
                    .any(|mistake| mistake.starts_with(&format!("{flag}: "))),
                "{flag}: {mistakes:?}"
            );
        }
    }

    #[test]
    fn wrong_usage_is_told_from_help_and_version() {
        for line in ["--help", "-h", "--version", "checkconfig --help"] {
            assert!(!parse_line(line).unwrap_err().use_stderr(), "{line}");
        }
        for line in ["--prot 1", "--set nothing", "start"] {
            assert!(parse_line(line).unwrap_err().use_stderr(), "{line}");
        }
    }

    #[test]
    fn a_mistyped_setting_is_not_repeated() {
        for line in [
            "--set tokenSecretKey:hidden",
            "--set tokenSecretKey= hidden",
            "tokenSecretKey=hidden",
            "checkconfig --set hidden",
        ] {
            let error = parse_line(line).unwrap_err().to_string();
            assert!(!error.contains("hidden"), "{error}");
            assert!(error.contains("--set KEY=VALUE"), "{error}");
        }
    }

    #[test]
    fn the_readme_names_every_flag() {
        let readme = include_str!("../README.md");
        let flags = Flags::command();
        let names = flags.get_arguments().filter_map(clap::Arg::get_long);
        for name in names.chain(["help", "version"]) {
            assert!(
                readme.contains(&format!("| `--{name}"))
                    || readme.contains(&format!(", `--{name}")),
                "--{name}"
            );
        }
        for action in flags.get_subcommands() {
            assert!(readme.contains(&format!("`pws-fast {}", action.get_name())));
        }
    }

    #[test]
    fn the_help_tells_the_defaults_that_hold() {
        let help = parse_line("--help").unwrap_err().to_string();
        assert!(help.contains(&format!("(webServicePort) [default: {}]", limits::PORT)));
        assert!(help.contains(&format!("[default: {}]", limits::HUB_RETAINED_BYTES)));
    }
}
