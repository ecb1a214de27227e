//! Processes and CPUs as the kernel accounts for them.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server under test has this CPU,
pub const SERVERS_CPU: usize = 0;
/// and this one has everything else: broker, publisher, the sockets' other ends.
pub const OTHERS_CPU: usize = 1;

/// USER_HZ is 100 on every Linux that this runs on.
const TICK: Duration = Duration::from_millis(10);

/// Pins this thread, and those that it starts, to a CPU.
pub fn pin_to(cpu: usize) {
    let core = core_affinity::CoreId { id: cpu };
    if !core_affinity::set_for_current(core) {
        eprintln!("CPU {cpu} is not to be had: the servers share one with their clients");
    }
}

/// A process that is killed when it is dropped.
pub struct Server {
    pub child: Child,
    /// What is measured.
    pub pid: u32,
}

impl Server {
    pub fn start(command: &mut Command) -> Server {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = child.id();
        Server { child, pid }
    }

    /// The process has another one that does the work: that is measured, and ends with it.
    pub fn measure_its_child(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = fs::read_to_string(children).unwrap_or_default();
        let child = children.split_whitespace().next();
        self.pid = child
            .and_then(|pid| pid.parse().ok())
            .expect("it has a child");
    }

    /// Ends it as an operator does, and waits for that.
    pub fn terminate(&mut self) {
        let _ = Command::new("kill").arg(self.pid.to_string()).status();
        let _ = self.child.wait();
    }

    pub fn cpu(&self) -> Duration {
        cpu_of(self.pid)
    }

    /// Resident memory of its own: without the program's pages, which come and go with the page cache.
    pub fn memory_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid));
        let kib = status.ok().and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("RssAnon:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        });
        kib.unwrap_or(0) * 1024
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        if self.pid != self.child.id() {
            let _ = Command::new("kill").arg(self.pid.to_string()).status();
        }
        let _ = self.child.wait();
    }
}

/// User and system time of all threads of a process.
pub fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may have spaces: state is the third field, utime the 14th, stime the 15th.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    TICK * ticks(fields.split_whitespace().skip(11).take(2))
}

/// What a CPU has done since the machine was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    busy: Duration,
    all: Duration,
}

impl CpuTime {
    pub fn of(cpu: usize) -> CpuTime {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let name = format!("cpu{cpu} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&name));
        let fields: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let all = ticks(fields.iter().take(8).copied());
        let idle = ticks(fields.iter().skip(3).take(2).copied());
        CpuTime {
            busy: TICK * (all - idle),
            all: TICK * all,
        }
    }

    /// How busy it has been since then, in percent.
    pub fn busy_since(self, earlier: CpuTime) -> f64 {
        let all = (self.all - earlier.all).as_secs_f64();
        (self.busy - earlier.busy).as_secs_f64() * 100.0 / all.max(0.01)
    }
}

fn ticks<'a>(fields: impl Iterator<Item = &'a str>) -> u32 {
    fields.filter_map(|ticks| ticks.parse::<u32>().ok()).sum()
}

/// A command that runs on one CPU.
pub fn on_cpu(cpu: usize, program: &str) -> Command {
    on_cpus(&cpu.to_string(), program)
}

/// One that runs on some, as in `0,1`.
pub fn on_cpus(cpus: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cpus, program]);
    command
}
