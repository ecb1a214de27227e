//! The servers under test, and the broker behind them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pws_fast::embedded::{self, Embedded};

use crate::cases::Case;
use crate::process::{OTHERS_CPU, SERVERS_CPU, Server, on_cpu, on_cpus};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The kernel alone: prebuilt frames out of one io_uring.
    Floor,
    PwsFast,
    Java,
    Nchan,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Peer::Floor => "floor",
            Peer::PwsFast => "pws-fast",
            Peer::Java => "Java",
            Peer::Nchan => "nchan",
        }
    }
}

/// A server under test, running on its CPU.
pub struct Target {
    pub peer: Peer,
    pub server: Server,
    pub address: SocketAddr,
    /// What it still says on its standard error.
    said: Option<JoinHandle<Vec<String>>>,
}

impl Target {
    pub fn new(peer: Peer, server: Server, address: SocketAddr) -> Target {
        Target {
            peer,
            server,
            address,
            said: None,
        }
    }

    /// Ends a gateway in order; what it said after its start.
    pub fn stop_and_read(mut self) -> Vec<String> {
        self.server.terminate();
        let said = self.said.take();
        said.map_or(Vec::new(), |said| said.join().expect("it reads to the end"))
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
    pub fn embedded() -> Broker {
        Broker::embedded_with(embedded::Options::default())
    }

    pub fn embedded_with(options: embedded::Options) -> Broker {
        Broker::Embedded(embedded::start(options).expect("a free port"))
    }

    /// A real one of its own, in a folder of its own.
    pub fn pulsar() -> Broker {
        let dir = std::env::temp_dir().join(format!("pws-fast-bench-{}", std::process::id()));
        let home = output(Command::new(script()).arg("install"));
        let lines = output(Command::new(script()).arg("start").arg(&dir));
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

    /// The process, where it is one of its own.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Broker::Embedded(_) => None,
            Broker::Pulsar { dir, .. } => {
                let pid = fs::read_to_string(dir.join("pid")).ok()?;
                pid.trim().parse().ok()
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Broker::Pulsar { dir, .. } = self {
            let _ = Command::new(script()).arg("stop").arg(&*dir).status();
            let _ = fs::remove_dir_all(dir);
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pulsar/pulsar.sh")
}

fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().expect("it runs");
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// This gateway under test, with such settings.
pub fn start_gateway(broker: &Broker, settings: &[&str]) -> Target {
    start_gateway_on(&[SERVERS_CPU], broker, settings)
}

/// A gateway for the publisher, which is not to cost the server under test anything.
pub fn start_publishers_gateway(broker: &Broker) -> Target {
    start_gateway_on(&[OTHERS_CPU], broker, &[])
}

/// With a shard on each of these CPUs.
pub fn start_gateway_on(cpus: &[usize], broker: &Broker, settings: &[&str]) -> Target {
    let cpus: Vec<String> = cpus.iter().map(usize::to_string).collect();
    let cpus = cpus.join(",");
    let program = std::env::var("PWS_LOAD_GATEWAY");
    let program = program.unwrap_or(env!("CARGO_BIN_EXE_pws-fast").to_owned());
    let mut command = on_cpus(&cpus, &program);
    command.args(["--cores", &cpus, "--port", "0"]);
    command.args(["--broker", &broker.url()]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let mut server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let stderr = server.child.stderr.take().expect("piped");
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
    let said = std::thread::spawn(move || lines.map_while(Result::ok).collect());
    Target {
        said: Some(said),
        ..Target::new(Peer::PwsFast, server, address)
    }
}

pub fn start_floor(case: Case, run: Duration) -> Target {
    let address = free_address();
    let own = std::env::current_exe().expect("this program");
    let mut command = on_cpu(SERVERS_CPU, own.to_str().expect("a path of UTF-8"));
    command.args([
        "floor",
        &address.to_string(),
        &case.sockets.to_string(),
        &case.rate.to_string(),
        &run.as_secs().to_string(),
    ]);
    let server = Server::start(&mut command);
    Target::new(Peer::Floor, server, await_port(address))
}

/// What the Java gateway gets that its own defaults do not give it.
pub const RAISED_FOR_JAVA: &str = "maxHttpServerConnections=0 (2048), G1, -Xms64m instead of -Xms2g (so that resident memory says something; -Xmx2g and 4 GiB of direct memory as shipped)";

/// Java's gateway with its limit of sockets raised and a collector that gives memory back.
pub fn start_java(broker: &Broker) -> Target {
    let Broker::Pulsar {
        dir,
        home,
        broker,
        admin,
    } = broker
    else {
        panic!("Java's gateway wants a real Pulsar");
    };
    let address = free_address();
    let settings = [
        ("brokerServiceUrl", broker.clone()),
        ("serviceUrl", admin.clone()),
        ("webServicePort", address.port().to_string()),
        ("bindAddress", address.ip().to_string()),
        ("clusterName", "standalone".to_owned()),
        ("maxHttpServerConnections", "0".to_owned()),
    ];
    let shipped = fs::read_to_string(Path::new(home).join("conf/websocket.conf"));
    let mut text: String = shipped
        .expect("Pulsar's own websocket.conf")
        .lines()
        .filter(|line| {
            let key = line.split('=').next().unwrap_or_default().trim();
            settings.iter().all(|(ours, _)| *ours != key)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    for (key, value) in &settings {
        text += &format!("{key}={value}\n");
    }
    let config = dir.join("websocket.conf");
    fs::write(&config, text).expect("a file");
    let mut command = on_cpu(SERVERS_CPU, &format!("{home}/bin/pulsar"));
    command
        .arg("websocket")
        .current_dir(dir)
        .env("PULSAR_WEBSOCKET_CONF", &config)
        .env("PULSAR_GC", "-XX:+UseG1GC")
        .env("PULSAR_MEM", "-Xms64m -Xmx2g -XX:MaxDirectMemorySize=4g")
        .env("PULSAR_LOG_DIR", dir.join("logs"))
        .env("PULSAR_LOG_LEVEL", "warn");
    let server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    Target::new(Peer::Java, server, await_port(address))
}

pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

pub fn await_port(address: SocketAddr) -> SocketAddr {
    let deadline = Instant::now() + Duration::from_secs(120);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(50));
    }
    address
}
