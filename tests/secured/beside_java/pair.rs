//! The Java gateway and this one, with the same settings on the same Pulsar, and a request to both.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::refusal;
use crate::secured::{Secured, free_port, start_java_gateway};
use crate::support::certificates::Signed;
use crate::support::raw::upgrade_request;
use crate::support::secure::{self, Trust, Version};
use crate::support::{PATIENCE, World, eventually};

const PROVIDERS: &str = "authenticationProviders";

/// One of the two.
#[derive(Clone, Copy)]
pub struct Side {
    plain: SocketAddr,
    tls: SocketAddr,
    /// Of one length, so that texts are.
    pub name: &'static str,
}

pub struct Pair {
    pub java: Side,
    pub here: Side,
    /// It ends with this.
    _world: World,
}

/// By which port.
pub enum Door {
    Plain,
    Tls(Option<Signed>),
}

impl Pair {
    /// With these settings beside those that let them work there.
    pub fn start(name: &str, settings: &[(&'static str, String)]) -> Pair {
        let secured = Secured::get();
        let (plain, tls) = (free_port(), free_port());
        let mut java = common(secured);
        java.push(("webServicePort", plain.to_string()));
        java.push(("webServicePortTls", tls.to_string()));
        java.push(("bindAddress", "127.0.0.1".to_owned()));
        java.push(("brokerServiceUrlTls", secured.broker_url()));
        java.push(("maxHttpServerConnections", "0".to_owned()));
        // A handshake keeps one until it is answered.
        java.push(("numHttpServerThreads", "32".to_owned()));
        java.extend(settings.iter().cloned());
        let java = std::thread::spawn({
            let name = name.to_owned();
            move || start_java_gateway(&name, tls, &java)
        });
        let mut here = common(secured);
        here.push(("webServicePortTls", "0".to_owned()));
        here.extend(settings.iter().cloned());
        let here: Vec<String> = here.iter().map(|(key, it)| format!("{key}={it}")).collect();
        let here: Vec<&str> = here.iter().map(String::as_str).collect();
        let world = secured.gateway(&here);
        java.join().expect("it has started");
        let java = Side {
            plain: ([127, 0, 0, 1], plain).into(),
            tls: ([127, 0, 0, 1], tls).into(),
            name: "java",
        };
        // It listens before all of it has started.
        let ask = || {
            java.ask(
                &Door::Plain,
                "/ws/v2/producer/persistent/public/default/t",
                "",
            )
        };
        eventually("it knows whom to let in", || !ask().starts_with("500 "));
        Pair {
            java,
            here: Side {
                plain: world.address(),
                tls: world.address_tls(),
                name: "here",
            },
            _world: world,
        }
    }
}

/// The superuser's own token towards brokers; tokens, certificates and passwords of clients; grants out of the store.
fn common(secured: &Secured) -> Vec<(&'static str, String)> {
    let path = |path: std::path::PathBuf| path.display().to_string();
    let providers = ["Token", "Tls", "Basic"].map(|kind| {
        format!("org.apache.pulsar.broker.authentication.AuthenticationProvider{kind}")
    });
    let mut all = vec![
        ("clusterName", "standalone".to_owned()),
        ("configurationMetadataStoreUrl", secured.store_url()),
        (
            "brokerClientTrustCertsFilePath",
            path(secured.trust_certs()),
        ),
        (
            "brokerClientAuthenticationPlugin",
            "org.apache.pulsar.client.impl.auth.AuthenticationToken".to_owned(),
        ),
        (
            "brokerClientAuthenticationParameters",
            format!("token:{}", secured.token("admin")),
        ),
        ("brokerClientTlsEnabled", "true".to_owned()),
        // What never succeeds is given up soon.
        ("brokerClient_operationTimeoutMs", "3000".to_owned()),
        ("authenticationEnabled", "true".to_owned()),
        (PROVIDERS, providers.join(",")),
        (
            "tokenSecretKey",
            format!("file://{}", path(secured.secret_key())),
        ),
        ("basicAuthConf", path(secured.path("users"))),
        ("authorizationEnabled", "true".to_owned()),
        ("superUserRoles", "root".to_owned()),
    ];
    all.extend(secured.wss_settings());
    all
}

impl Side {
    /// `101`, or the status and the text of the refusal. `lines` are further ones of the request, each with its end.
    pub fn ask(&self, door: &Door, path: &str, lines: &str) -> String {
        let request = upgrade_request(path).replace("Host:", &format!("{lines}Host:"));
        match door {
            Door::Plain => {
                let stream = TcpStream::connect(self.plain).expect("it accepts");
                stream.set_read_timeout(Some(PATIENCE)).expect("TCP");
                answer(stream, &request)
            }
            Door::Tls(shows) => {
                let authority = Secured::get().authority();
                let trust = Trust::new(authority, Version::Tls12, shows.as_ref());
                let stream = secure::connect(self.tls, &trust).expect("it accepts");
                answer(stream, &request)
            }
        }
    }
}

fn answer(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("it goes out");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return "no answer".to_owned(),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.get(9..12).unwrap_or("???");
    if status == "101" {
        return status.to_owned();
    }
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    };
    let length = header("content-length").and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).expect("the whole body");
    let body = String::from_utf8_lossy(&body);
    format!("{status} {}", refusal::text(header("content-type"), &body))
}
