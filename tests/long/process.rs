//! What the kernel says of a process: descriptors and memory.

use std::fmt;
use std::fs;

#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    pub descriptors: usize,
    /// Resident anonymous memory: without the program's own pages, which come and go with the page cache.
    pub memory_kib: usize,
}

impl Footprint {
    pub fn of(pid: u32) -> Footprint {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let memory = line.expect("RssAnon").trim().trim_end_matches(" kB");
        Footprint {
            descriptors: descriptors(pid),
            memory_kib: memory.parse().expect("a number"),
        }
    }
}

pub fn descriptors(pid: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    entries.count()
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.memory_kib as f64 / 1024.0;
        write!(f, "{:>6} descriptors, {mib:>7.1} MiB", self.descriptors)
    }
}
