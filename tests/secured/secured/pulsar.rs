//! The process: its folder and ports, its start, and that it ends with the tests however they end.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::Rest;
use crate::support::{PATIENCE, pause};

/// Waits until the tests have ended, which closes its standard input; then Pulsar goes with all it has but its log.
const KEEPER: &str = r#"trap '' INT TERM HUP; read -r _; kill -9 "$1"; mv "$2/pulsar.out" "${2%-*}.log"; rm -rf "$2""#;

/// Small: some topics, a few connections.
const MEMORY: &str = "-Xms128m -Xmx700m -XX:MaxDirectMemorySize=512m";
const PROXY_MEMORY: &str = "-Xms64m -Xmx256m -XX:MaxDirectMemorySize=256m";

/// A folder of one Pulsar of this process alone.
pub fn new_folder(name: &str) -> PathBuf {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(folder.join("logs")).expect("the target folder takes it");
    folder
}

/// Below the range that the kernel takes for outgoing connections, so that none of those steals it.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(16_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Its metadata is in a ZooKeeper, as a cluster's is: what is granted stands there too.
pub fn start(folder: &Path, zookeeper_port: u16, settings: &[(&str, String)]) -> Child {
    let option = |name: &str, value: &str| format!("--{name}={}", folder.join(value).display());
    run(folder, "standalone", settings, |command| {
        command
            .args(["-nfw", "-nss"])
            .arg(option("zookeeper-dir", "zookeeper"))
            .arg(format!("--zookeeper-port={zookeeper_port}"))
            .arg(option("bookkeeper-dir", "bookkeeper"))
            .arg(format!("--bookkeeper-port={}", free_port()))
            .env("PULSAR_STANDALONE_USE_ZOOKEEPER", "1")
            .env("PULSAR_MEM", MEMORY)
    })
}

/// Pulsar's own proxy.
pub fn start_proxy(folder: &Path, settings: &[(&str, String)]) -> Child {
    run(folder, "proxy", settings, |command| {
        command.env("PULSAR_MEM", PROXY_MEMORY)
    })
}

/// Pulsar's own WebSocket gateway.
pub fn start_gateway(folder: &Path, settings: &[(&str, String)]) -> Child {
    run(folder, "websocket", settings, |command| {
        command.env("PULSAR_MEM", PROXY_MEMORY)
    })
}

/// `bin/pulsar KIND`, with these settings instead of those of its `KIND.conf`.
fn run(
    folder: &Path,
    kind: &str,
    settings: &[(&str, String)],
    with: impl FnOnce(&mut Command) -> &mut Command,
) -> Child {
    let home = install();
    let file = folder.join(format!("{kind}.conf"));
    fs::write(&file, configuration(&home, kind, settings)).expect("a file");
    let out = File::create(folder.join("pulsar.out")).expect("a file");
    let mut command = Command::new(home.join("bin/pulsar"));
    let pulsar = with(command.arg(kind))
        .current_dir(folder)
        .env(format!("PULSAR_{}_CONF", kind.to_uppercase()), file)
        .env("PULSAR_LOG_DIR", folder.join("logs"))
        .env("PULSAR_LOG_LEVEL", "warn")
        .env("PULSAR_GC", "-XX:+UseSerialGC")
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a descriptor"))
        .stderr(out)
        .spawn()
        .expect("bin/pulsar starts");
    keep(folder, &pulsar);
    pulsar
}

#[expect(clippy::zombie_processes, reason = "it outlives this process")]
fn keep(folder: &Path, pulsar: &Child) {
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, "keeper", &pulsar.id().to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("sh starts");
    // Open until this process ends.
    std::mem::forget(keeper.stdin.take());
}

pub fn wait_until_ready(folder: &Path, pulsar: &mut Child, admin: &Rest) {
    // A lookup only succeeds when namespace, bundle and topic can be served.
    let path = "/lookup/v2/topic/persistent/public/default/ready";
    wait_until(folder, pulsar, || admin.is_up() && admin.get(path).0 == 200);
}

pub fn wait_until(folder: &Path, pulsar: &mut Child, is_ready: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_ready() {
        let ended = pulsar.try_wait().expect("our child");
        let log = || fs::read_to_string(folder.join("pulsar.out")).unwrap_or_default();
        assert!(ended.is_none(), "Pulsar has ended:\n{}", log());
        assert!(Instant::now() < deadline, "Pulsar is not ready:\n{}", log());
        pause(std::time::Duration::from_millis(200));
    }
}

/// Where Pulsar is unpacked; fetched by Maven where it is not.
fn install() -> PathBuf {
    let installed = Command::new("tests/pulsar/pulsar.sh")
        .arg("install")
        .stderr(Stdio::inherit())
        .output()
        .expect("the script runs");
    assert!(installed.status.success(), "pulsar.sh install failed");
    PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim())
}

/// Pulsar's own file with these settings instead of its own.
fn configuration(home: &Path, kind: &str, settings: &[(&str, String)]) -> String {
    let shipped = home.join(format!("conf/{kind}.conf"));
    let shipped = fs::read_to_string(shipped).expect("it is shipped");
    let is_set = |line: &str| {
        let key = line.split('=').next().unwrap_or_default();
        settings.iter().any(|(set, _)| *set == key)
    };
    let kept = shipped.lines().filter(|line| !is_set(line));
    let set = settings.iter().map(|(key, value)| format!("{key}={value}"));
    kept.map(str::to_owned)
        .chain(set)
        .collect::<Vec<_>>()
        .join("\n")
}
