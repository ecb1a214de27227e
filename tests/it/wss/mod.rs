//! TLS towards clients: each module is one behaviour of the TLS port.

mod attacks;
mod client_certificates;
mod fan_out;
mod handshake;
mod hostile;
mod proxies;
mod rotation;
mod stores;

use crate::support::certificates::{Authority, Folder, Signed};
use crate::support::secure::{Trust, Version};
use crate::support::{World, topic};

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

/// A gateway with both ports, and the authority that has signed its certificate.
struct Place {
    world: World,
    authority: Authority,
    folder: Folder,
}

impl Place {
    fn new(settings: &[&str]) -> Place {
        let (authority, folder) = (Authority::new("it"), Folder::new());
        let files = install(&folder, &authority.server(&["localhost", "127.0.0.1"]));
        let mut all: Vec<&str> = files.iter().map(String::as_str).collect();
        let trusted = format!(
            "tlsTrustCertsFilePath={}",
            folder.write("clients.pem", authority.pem())
        );
        all.push("webServicePortTls=0");
        all.extend(settings);
        if settings.iter().any(|it| it.contains("ClientCert")) {
            all.push(&trusted);
        }
        Place {
            world: World::with(&all),
            authority,
            folder,
        }
    }

    fn trust(&self, version: Version) -> Trust {
        Trust::new(&self.authority, version, None)
    }
}

/// Writes certificate and key: the settings that name them.
fn install(folder: &Folder, signed: &Signed) -> [String; 2] {
    [
        format!("tlsKeyFilePath={}", folder.write("server.key", &signed.key)),
        format!(
            "tlsCertificateFilePath={}",
            folder.write("server.pem", &signed.certificate)
        ),
    ]
}

fn path(kind: &str, topic_and_rest: &str) -> String {
    format!("/ws/v2/{kind}/persistent/public/default/{topic_and_rest}")
}

fn new_reader() -> String {
    path("reader", &topic("wss"))
}
