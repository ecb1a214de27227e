//! Autobahn's test suite: where to find a Python 2.7 for it, its installation, one run.
//!
//! It is installed once, under the build folder, with the ordinary package client of that Python.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

/// The last release, and the last that a Python 2.7 can run.
const PACKAGE: &str = "autobahntestsuite==25.10.1";

/// Runs the suite out of the folder it was installed into, as its own `wstest` script would.
const WSTEST: &str = "import site, sys; site.addsitedir(sys.argv.pop(1)); \
    from autobahntestsuite.wstest import run; run()";

/// A run takes about 40 seconds, one of all cases of compression half an hour; much more on a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// What the suite calls the server under test.
const AGENT: &str = "pws-fast";

/// Case → behaviour: `OK`, `NON-STRICT`, `INFORMATIONAL` or `FAILED`; see [`behaviour`].
pub type Outcome = BTreeMap<String, String>;

pub struct Suite {
    python: PathBuf,
    packages: PathBuf,
    folder: PathBuf,
}

impl Suite {
    /// Finds Python 2.7 and installs the suite below `folder`, unless it is there.
    ///
    /// # Errors
    /// The reason why it cannot be had here, in a line.
    pub fn prepare(folder: &Path) -> Result<Suite, String> {
        let python = find_python()?;
        let packages = folder.join("packages");
        if !packages.join("autobahntestsuite").is_dir() {
            install(&python, folder, &packages)?;
        }
        Ok(Suite {
            python,
            packages,
            folder: folder.to_owned(),
        })
    }

    /// Runs the fuzzing client with `cases` (patterns) against the server on `port`.
    pub fn run(&self, port: u16, cases: &[&str]) -> io::Result<Outcome> {
        let reports = self.folder.join("reports");
        let _ = fs::remove_dir_all(&reports);
        fs::create_dir_all(&reports)?;
        let spec = serde_json::json!({
            "outdir": reports,
            "servers": [{ "agent": AGENT, "url": format!("ws://127.0.0.1:{port}") }],
            "cases": cases,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        });
        let spec_file = reports.join("spec.json");
        fs::write(&spec_file, spec.to_string())?;
        let mut client = Command::new(&self.python)
            .args(["-c", WSTEST])
            .arg(&self.packages)
            .args(["-m", "fuzzingclient", "-s"])
            .arg(&spec_file)
            .stdout(Stdio::null())
            .stderr(fs::File::create(reports.join("stderr.txt"))?)
            .spawn()?;
        let status = wait(&mut client)?;
        let index = fs::read(reports.join("index.json")).map_err(|error| {
            io::Error::other(format!(
                "no report ({error}), the suite ended with {status}"
            ))
        })?;
        let index: serde_json::Value = serde_json::from_slice(&index)?;
        let cases = index[AGENT].as_object().into_iter().flatten();
        Ok(cases
            .map(|(case, result)| (case.clone(), behaviour(result)))
            .collect())
    }
}

/// A case's behaviour, and that of its closing handshake where it is not as good.
fn behaviour(result: &serde_json::Value) -> String {
    let text = |name: &str| {
        result[name]
            .as_str()
            .unwrap_or("FAILED: not in the report")
            .to_owned()
    };
    match (text("behavior"), text("behaviorClose")) {
        (message, close) if close == "OK" || close == message => message,
        (message, close) => format!("{message}, close {close}"),
    }
}

/// Waits for the client's end, [`RUN_LIMIT`] at most: it has no limit of its own for a server that says nothing.
fn wait(client: &mut Child) -> io::Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = client.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > RUN_LIMIT {
            client.kill()?;
            client.wait()?;
            return Err(io::Error::other("the suite did not end in time"));
        }
        #[expect(clippy::disallowed_methods, reason = "no shard runs on this thread")]
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn install(python: &Path, folder: &Path, packages: &Path) -> Result<(), String> {
    let unfinished = folder.join("packages.unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let installed = Command::new(python)
        .args([
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--target",
        ])
        .arg(&unfinished)
        .arg(PACKAGE)
        .output()
        .map_err(|error| error.to_string())?;
    if !installed.status.success() {
        let text = String::from_utf8_lossy(&installed.stderr);
        return Err(format!(
            "{PACKAGE} does not install: {}",
            text.lines().last().unwrap_or_default()
        ));
    }
    fs::rename(&unfinished, packages).map_err(|error| error.to_string())
}

/// A Python 2.7 with pip: on the path, or one that pyenv keeps.
fn find_python() -> Result<PathBuf, String> {
    let mut candidates = vec![PathBuf::from("python2.7"), PathBuf::from("python2")];
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv"));
    if let Some(root) = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or(home) {
        let versions = fs::read_dir(root.join("versions"))
            .into_iter()
            .flatten()
            .flatten();
        let is_2_7 = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("2.7"))
        };
        candidates.extend(
            versions
                .map(|entry| entry.path())
                .filter(is_2_7)
                .map(|path| path.join("bin/python2.7")),
        );
    }
    let runs_pip = |python: &PathBuf| {
        let check = "import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))";
        let status = Command::new(python)
            .args(["-c", check])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    candidates
        .into_iter()
        .find(runs_pip)
        .ok_or_else(|| "no Python 2.7 with pip, which Autobahn's suite runs on".into())
}
