//! A real Pulsar of the run's own, which it may kill.

use std::path::PathBuf;
use std::process::Command;

/// Stopped when dropped.
pub struct Pulsar {
    folder: PathBuf,
}

impl Pulsar {
    /// A new one: nothing is left of a run before.
    pub fn start(name: &str) -> Pulsar {
        Pulsar::start_as(name, &[])
    }

    /// With its metadata in a ZooKeeper of its own.
    pub fn start_with_zookeeper(name: &str) -> Pulsar {
        Pulsar::start_as(name, &["zookeeper"])
    }

    fn start_as(name: &str, kind: &[&str]) -> Pulsar {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let pulsar = Pulsar { folder };
        pulsar.script("stop");
        let _ = std::fs::remove_dir_all(&pulsar.folder);
        pulsar.script_with("start", kind);
        pulsar
    }

    /// Pulsar's proxy, in front of it until it is stopped.
    pub fn start_proxy(&self) {
        self.script("proxy");
    }

    /// SIGKILL, and the same again on the same data.
    pub fn kill(&self) {
        self.script("kill");
    }

    pub fn start_again(&self) {
        self.script("start");
    }

    /// Broker URL and admin URL.
    pub fn urls(&self) -> (String, String) {
        (self.value("PWS_TEST_BROKER"), self.value("PWS_TEST_ADMIN"))
    }

    /// What `pulsar.sh env` says of it.
    pub fn value(&self, key: &str) -> String {
        let text = self.script("env");
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.expect("pulsar.sh names it").to_owned()
    }

    fn script(&self, action: &str) -> String {
        self.script_with(action, &[])
    }

    fn script_with(&self, action: &str, kind: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pulsar/pulsar.sh");
        let output = Command::new(script)
            .arg(action)
            .arg(&self.folder)
            .args(kind)
            .output()
            .expect("bash is there");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pulsar.sh {action}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Pulsar {
    fn drop(&mut self) {
        self.script("stop");
    }
}
