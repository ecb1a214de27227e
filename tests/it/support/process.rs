//! The program in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::{PATIENCE, eventually};

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pws-fast"));
    command.env_remove("RUST_LOG");
    command
}

/// On one core and any free port with these settings, in front of the broker of the environment or one of its own.
pub fn program_with(settings: &[impl AsRef<str>]) -> Command {
    let mut program = program();
    program.args(["--port", "0", "--cores", "0"]);
    if let Ok(broker) = std::env::var("PWS_TEST_BROKER") {
        program.args(["--broker", &broker]);
    }
    for setting in settings {
        program.args(["--set", setting.as_ref()]);
    }
    program
}

/// A gateway in a process of its own, killed when dropped.
pub struct Gateway {
    child: Child,
    log: mpsc::Receiver<String>,
}

impl Gateway {
    pub fn start(arguments: &[&str]) -> Gateway {
        Gateway::start_program(program().args(arguments))
    }

    pub fn start_program(program: &mut Command) -> Gateway {
        let mut child = program.stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = child.stderr.take().expect("piped");
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Gateway { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that it has used, to ticks of 10 ms.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let stat = stat.expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        // utime and stime of proc_pid_stat(5), which counts from the process's id on.
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks
            .map(|text| text.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_millis(10 * ticks)
    }

    pub fn next_line(&self) -> String {
        self.log.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// What follows `text` in the first line that has it.
    pub fn line_after(&self, text: &str) -> String {
        loop {
            if let Some((_, rest)) = self.next_line().split_once(text) {
                return rest.to_owned();
            }
        }
    }

    /// Ends it: all that it has logged since the last line that was read.
    pub fn rest_of_log(&mut self) -> Vec<String> {
        self.signal("TERM");
        assert_eq!(self.exit_status(), Some(0));
        self.log.iter().collect()
    }

    /// What it listens on; reads the log up to that line.
    pub fn address(&self) -> SocketAddr {
        let address = self.line_after("listening on ws://");
        address.parse().expect("an address")
    }

    /// How many sockets each shard has when the gateway is told to stop.
    pub fn sockets_by_shard(&self, shards: usize) -> Vec<usize> {
        self.signal("TERM");
        let mut counts = Vec::new();
        while counts.len() < shards {
            let rest = self.line_after("open sockets at the end: ");
            let count = rest.split(' ').next().expect("something");
            counts.push(count.parse().expect("a number"));
        }
        counts
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    pub fn exit_status(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("it ends", || {
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
