//! A blocking WebSocket client on TLS (rustls' own streams, tungstenite's frames).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::certificates::{Authority, Signed};
use super::{PATIENCE, base64};

/// What TLS runs on, of a client.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// What a client trusts, shows and remembers. Clones share their memory of sessions.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    pub fn new(authority: &Authority, version: Version, shows: Option<&Signed>) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(der(authority.pem())).expect("an authority");
        let versions = match version {
            Version::Tls12 => [&TLS12],
            Version::Tls13 => [&TLS13],
        };
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&versions)
            .expect("ring has both")
            .with_root_certificates(roots);
        let mut config = match shows {
            None => config.with_no_client_auth(),
            Some(shown) => {
                let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes());
                config
                    .with_client_auth_cert(vec![der(&shown.certificate)], key.expect("a key"))
                    .expect("they go together")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Trust(Arc::new(config))
    }
}

pub fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// TLS without a WebSocket on it: a client that says exactly the bytes it is told to.
pub struct Unframed(Stream);

impl Unframed {
    /// The handshake of TLS is over.
    pub fn connect(address: SocketAddr, trust: &Trust) -> Unframed {
        let mut stream = connect(address, trust).expect("the gateway accepts");
        while stream.conn.is_handshaking() {
            stream
                .conn
                .complete_io(&mut stream.sock)
                .expect("a handshake");
        }
        Unframed(stream)
    }

    /// False: the gateway has gone before it had all.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0
            .write_all(bytes)
            .and_then(|()| self.0.flush())
            .is_ok()
    }

    /// Up to the empty line.
    pub fn http_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("more, in time");
            head.extend(byte);
        }
        String::from_utf8(head).expect("ASCII")
    }

    /// What comes until the gateway ends the connection, in whichever way.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                panic!("the gateway does not end it")
            }
            _ => rest,
        }
    }
}

pub struct Secure {
    socket: WebSocket<Stream>,
}

impl Secure {
    /// Err: why the TLS handshake, or what follows it, has failed.
    pub fn try_open(address: SocketAddr, trust: &Trust, path: &str) -> io::Result<Secure> {
        Secure::try_open_behind(b"", address, trust, path)
    }

    /// With something in front of TLS.
    pub fn try_open_behind(
        before: &[u8],
        address: SocketAddr,
        trust: &Trust,
        path: &str,
    ) -> io::Result<Secure> {
        let mut stream = connect(address, trust)?;
        stream.sock.write_all(before)?;
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let opened = tungstenite::client(format!("wss://localhost{path}"), stream);
        let (socket, _) = opened.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Secure { socket })
    }

    pub fn open(address: SocketAddr, trust: &Trust, path: &str) -> Secure {
        Secure::try_open(address, trust, path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// What TLS has agreed on.
    pub fn session(&self) -> &ClientConnection {
        &self.socket.get_ref().conn
    }

    pub fn is_resumed(&self) -> bool {
        self.session().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The certificate that the gateway has shown.
    pub fn shown(&self) -> &CertificateDer<'static> {
        &self.session().peer_certificates().expect("it has one")[0]
    }

    pub fn send(&mut self, value: &Value) {
        let sent = self.socket.send(Message::text(value.to_string()));
        sent.expect("the socket is open");
    }

    pub fn json(&mut self) -> Value {
        loop {
            match self.socket.read().expect("a frame in time") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a text frame: {other:?}"),
            }
        }
    }

    pub fn publish(&mut self, payload: &str) {
        self.send(&json!({ "payload": base64(payload) }));
        assert_eq!(self.json()["result"], "ok");
    }

    /// The next delivery, acked.
    pub fn receive(&mut self) -> String {
        let message = self.json();
        self.send(&json!({ "messageId": message["messageId"] }));
        super::payload_of(&message)
    }

    /// Code and reason of the close frame, which comes next.
    pub fn closed(&mut self) -> (u16, String) {
        loop {
            match self.socket.read().expect("a frame in time") {
                Message::Close(frame) => {
                    let frame = frame.expect("a code");
                    return (frame.code.into(), frame.reason.to_string());
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a close frame: {other:?}"),
            }
        }
    }

    /// Closes the WebSocket, then reads to the end of the stream, which has to be an orderly one.
    pub fn close(mut self) {
        self.socket.close(None).expect("the socket is open");
        loop {
            match self.socket.read() {
                Ok(_) => {}
                Err(tungstenite::Error::ConnectionClosed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A connection on which TLS begins with the first byte that is said.
pub fn connect(address: SocketAddr, trust: &Trust) -> io::Result<Stream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(trust.0.clone(), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(session, stream))
}
