//! Requests to Pulsar's web services over TLS, one connection for each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned};
use serde_json::Value;

use super::Certificate;
use crate::support::PATIENCE;
use crate::support::admin::http_answer;

pub struct Rest {
    port: u16,
    authorization: String,
    tls: Arc<ClientConfig>,
}

impl Rest {
    /// Of localhost, whose certificate `authority` (PEM) has issued; `authorization` is that header's value.
    pub fn new(port: u16, authority: &str, authorization: &str) -> Rest {
        let authorization = format!("Authorization: {authorization}\r\n");
        let tls = trusting(authority).with_no_client_auth();
        Rest {
            port,
            authorization,
            tls: Arc::new(tls),
        }
    }

    /// The same with a client's certificate and no header.
    pub fn with_certificate(port: u16, authority: &str, client: &Certificate) -> Rest {
        let certificate = CertificateDer::from_pem_file(&client.certificate).expect("PEM");
        let key = PrivateKeyDer::from_pem_file(&client.key).expect("PEM");
        let tls = trusting(authority).with_client_auth_cert(vec![certificate], key);
        Rest {
            port,
            authorization: String::new(),
            tls: Arc::new(tls.expect("they belong together")),
        }
    }

    /// Somebody listens there.
    pub fn is_up(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// Status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &Value::Null)
    }

    /// What must succeed; gives the body. `Value::Null`: none is sent.
    pub fn expect(&self, method: &str, path: &str, body: &Value) -> String {
        let (status, answer) = self.ask(method, path, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    /// Status and body.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.authorization,
            body.len()
        );
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("Pulsar accepts");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(self.tls.clone(), name).expect("TLS");
        let mut stream = StreamOwned::new(connection, stream);
        stream.write_all(request.as_bytes()).expect("it goes out");
        let mut answer = Vec::new();
        // Jetty may close without the alert that TLS wants; the length tells whether anything is missing.
        let _ = stream.read_to_end(&mut answer);
        http_answer(&String::from_utf8_lossy(&answer))
    }
}

fn trusting(authority: &str) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM");
    roots.add(authority).expect("a certificate");
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
}
