//! Processes as the kernel accounts for them.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Pins this thread, and those that it starts, to a CPU.
pub fn pin_to(cpu: usize) {
    let core = core_affinity::CoreId { id: cpu };
    if !core_affinity::set_for_current(core) {
        eprintln!("CPU {cpu} is not to be had: the servers share one with their clients");
    }
}

/// A process that is killed when it is dropped.
pub struct Server(pub Child);

impl Server {
    /// On CPU 0, its output thrown away unless it is asked for.
    pub fn start(command: &mut Command) -> Server {
        let child = command.stdin(Stdio::null()).spawn();
        Server(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// User and system time of all its threads.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        // Behind the name, which may have spaces: state is the third field, utime the 14th, stime the 15th.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        // USER_HZ is 100 on every Linux that this runs on.
        Duration::from_millis(ticks * 10)
    }

    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.0.id());
        let pages = fs::read_to_string(path).ok().and_then(|statm| {
            let resident = statm.split_whitespace().nth(1)?;
            resident.parse::<u64>().ok()
        });
        pages.unwrap_or(0) * 4096
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that runs on one CPU.
pub fn on_cpu(cpu: usize, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &cpu.to_string(), program]);
    command
}
