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
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let pulsar = Pulsar { folder };
        pulsar.script("stop");
        let _ = std::fs::remove_dir_all(&pulsar.folder);
        pulsar.script("start");
        pulsar
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
        let text = self.script("env");
        let value = |key: &str| {
            let mut lines = text.lines();
            let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.expect("pulsar.sh names it").to_owned()
        };
        (value("PWS_TEST_BROKER"), value("PWS_TEST_ADMIN"))
    }

    fn script(&self, action: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pulsar/pulsar.sh");
        let output = Command::new(script)
            .arg(action)
            .arg(&self.folder)
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
