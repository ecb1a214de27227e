//! The servers under test, and the broker behind them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pws_fast::embedded::{self, Embedded};

use crate::Case;
use crate::process::{Server, on_cpu};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The kernel alone: prebuilt frames out of one io_uring.
    Floor,
    PwsFast,
    Java,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Peer::Floor => "floor",
            Peer::PwsFast => "pws-fast",
            Peer::Java => "java",
        }
    }
}

/// Pulsar, or the embedded broker.
pub enum Broker {
    Embedded(Embedded),
    Pulsar {
        dir: PathBuf,
        home: String,
        broker: String,
        admin: String,
    },
}

impl Broker {
    pub fn start(real: bool) -> Broker {
        if !real {
            let options = embedded::Options::default();
            return Broker::Embedded(embedded::start(options).expect("a free port"));
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pulsar/pulsar.sh");
        let dir = std::env::temp_dir().join(format!("pws-fast-bench-{}", std::process::id()));
        let home = output(Command::new(&script).arg("install"));
        let lines = output(Command::new(&script).arg("start").arg(&dir));
        let value = |name: &str| {
            let line = lines.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} in {lines}"))
                .to_owned()
        };
        Broker::Pulsar {
            home: home.trim().to_owned(),
            broker: value("PWS_TEST_BROKER="),
            admin: value("PWS_TEST_ADMIN="),
            dir,
        }
    }

    fn url(&self) -> String {
        match self {
            Broker::Embedded(embedded) => format!("pulsar://{}", embedded.address()),
            Broker::Pulsar { broker, .. } => broker.clone(),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Broker::Pulsar { dir, .. } = self {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pulsar/pulsar.sh");
            let _ = Command::new(script).arg("stop").arg(&*dir).status();
            let _ = fs::remove_dir_all(dir);
        }
    }
}

fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().expect("it runs");
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Starts the server under test on CPU 0.
pub fn start(peer: Peer, case: Case, broker: &Broker, run: Duration) -> (Server, SocketAddr) {
    match peer {
        Peer::Floor => start_floor(case, run),
        Peer::PwsFast => start_gateway(0, broker),
        Peer::Java => start_java(broker),
    }
}

/// A gateway for the publisher, which is not to cost the server under test anything.
pub fn start_publishers_gateway(broker: &Broker) -> (Server, SocketAddr) {
    start_gateway(1, broker)
}

fn start_gateway(cpu: usize, broker: &Broker) -> (Server, SocketAddr) {
    let mut command = on_cpu(cpu, env!("CARGO_BIN_EXE_pws-fast"));
    command.args(["--cores", &cpu.to_string(), "--port", "0"]);
    command.args(["--broker", &broker.url()]);
    let mut server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let stderr = server.0.stderr.take().expect("piped");
    let mut lines = BufReader::new(stderr).lines();
    let address = loop {
        let line = lines.next().expect("it starts").expect("text");
        if let Some((_, rest)) = line.split_once("ws://") {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
            if let Ok(address) = rest[..end.unwrap_or(rest.len())].parse() {
                break address;
            }
        }
    };
    // Nobody may be left with a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (server, address)
}

fn start_floor(case: Case, run: Duration) -> (Server, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let own = std::env::current_exe().expect("this program");
    let mut command = on_cpu(0, own.to_str().expect("a path of UTF-8"));
    command.args([
        "floor",
        &address.to_string(),
        &case.sockets.to_string(),
        &case.rate.to_string(),
        &run.as_secs().to_string(),
    ]);
    (Server::start(&mut command), await_port(address))
}

/// Java's gateway with its limit of sockets raised (2048) and a collector that gives memory back.
fn start_java(broker: &Broker) -> (Server, SocketAddr) {
    let Broker::Pulsar {
        dir,
        home,
        broker,
        admin,
    } = broker
    else {
        panic!("Java's gateway wants a real Pulsar");
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let config = dir.join("websocket.conf");
    let text = format!(
        "brokerServiceUrl={broker}\nserviceUrl={admin}\nwebServicePort={}\nclusterName=standalone\nmaxHttpServerConnections=0\n",
        address.port()
    );
    fs::write(&config, text).expect("a file");
    let mut command = on_cpu(0, &format!("{home}/bin/pulsar"));
    command
        .arg("websocket")
        .current_dir(dir)
        .env("PULSAR_WEBSOCKET_CONF", &config)
        .env("PULSAR_GC", "-XX:+UseG1GC")
        .env("PULSAR_LOG_DIR", dir.join("logs"))
        .env("PULSAR_LOG_LEVEL", "warn");
    let server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    (server, await_port(address))
}

fn await_port(address: SocketAddr) -> SocketAddr {
    let deadline = Instant::now() + Duration::from_secs(120);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(50));
    }
    address
}
