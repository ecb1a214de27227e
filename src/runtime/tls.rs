//! TLS as a machine between a peer's bytes and an owner's: records in, plaintext out, and back. Server or client;
//! no I/O and no clock, `secured` carries the bytes.
//!
//! rustls' unbuffered interface: it reads records where they lie in the shard's buffer and writes them straight into
//! what is sent, so that an idle TLS socket holds keys and no buffer. monoio-rustls is not used, because it keeps 16 KiB
//! for reading and 16 KiB for writing with every connection, and the release beside monoio 0.2 pins rustls 0.21.
//! An idle reader over TLS is 3.4 KiB more than a plain one with TLS 1.3, 3.6 with 1.2 (3,000 of each on loopback,
//! resident memory).
//!
//! What TLS 1.2 cannot do: change keys. With AES-GCM a connection ends itself after 2^24 records (4 days of 50
//! sends a second); TLS 1.3 changes keys instead.

use std::io;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, CommonState, Error, ServerConfig};
use zeroize::Zeroizing;

/// Plaintext of one record at the most (RFC 8446 §5.1).
pub(super) const RECORD_BYTES: usize = 16 * 1024;

/// What may wait for the rest of its record, or of its handshake message: a record is at most 16,645 bytes, a chain of
/// certificates beyond this is nobody's. Half of the shard's read buffer, so that there is always room to read.
pub(super) const PENDING_BYTES_MAX: usize = 32 * 1024;

/// Beyond its plaintext a record has 5 bytes of header and up to 24 of nonce and tag; a key update may go before it.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// One side of a TLS connection.
pub(super) struct Tls {
    session: Session,
    /// The peer's bytes that are not a whole record yet, as rustls left them: it must see them in every call.
    pub(super) pending: Vec<u8>,
    /// Records that the kernel has not taken.
    pub(super) unsent: Vec<u8>,
    /// Plaintext that came together with the end of the handshake.
    pub(super) early: Zeroizing<Vec<u8>>,
    /// The peer may be showing who it is: its plaintext is wiped wherever it has been.
    pub(super) wipes: bool,
    peer_has_ended: bool,
    said_goodbye: bool,
    /// After an error rustls must not be asked anything more.
    has_failed: bool,
}

enum Session {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What rustls is to write once it can.
enum Write<'a> {
    Nothing,
    Data(&'a [u8]),
    /// close_notify.
    Goodbye,
}

/// What one step of rustls left to do.
enum Next {
    Again,
    /// It wants bytes of the peer, or has nothing to do.
    Rest,
}

/// Where a step puts what it gets.
struct Step<'a> {
    plain: &'a mut Vec<u8>,
    records: &'a mut Vec<u8>,
    write: Write<'a>,
    peer_has_ended: bool,
}

impl Tls {
    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Tls, Error> {
        UnbufferedServerConnection::new(config).map(|it| Tls::new(Session::Server(it)))
    }

    /// `name` is what the server's certificate must be for.
    pub(super) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Tls, Error> {
        UnbufferedClientConnection::new(config, name).map(|it| Tls::new(Session::Client(it)))
    }

    fn new(session: Session) -> Tls {
        Tls {
            wipes: matches!(session, Session::Server(_)),
            session,
            pending: Vec::new(),
            unsent: Vec::new(),
            early: Zeroizing::default(),
            peer_has_ended: false,
            said_goodbye: false,
            has_failed: false,
        }
    }

    /// Both sides have proved who they are, as far as that was asked of them.
    pub(super) fn is_established(&self) -> bool {
        !self.has_failed && !self.session.state().is_handshaking()
    }

    /// The peer has said that nothing follows.
    pub(super) fn peer_has_ended(&self) -> bool {
        self.peer_has_ended
    }

    /// The peer's certificate and those behind it. None: it has shown none.
    pub(super) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.session.state().peer_certificates()
    }

    /// Takes the peer's bytes, with what was [`Tls::pending`] in front of them; what is to be answered goes to
    /// [`Tls::unsent`], plaintext to `plain`.
    ///
    /// # Errors
    /// The connection is over; an alert that says so is among what is unsent.
    pub(super) fn open(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> io::Result<()> {
        self.check_failed()?;
        let mut step = Step {
            plain,
            records: &mut self.unsent,
            write: Write::Nothing,
            peer_has_ended: false,
        };
        let (used, result) = self.session.run(bytes, &mut step);
        self.peer_has_ended |= step.peer_has_ended;
        let rest = &bytes[used..];
        let result = match result {
            Ok(()) if rest.len() > PENDING_BYTES_MAX => {
                let why = "the peer's handshake message is too long";
                Err(io::Error::new(io::ErrorKind::InvalidData, why))
            }
            result => result.map_err(failure),
        };
        self.has_failed = result.is_err();
        self.pending = match self.has_failed {
            true => Vec::new(),
            false => rest.to_vec(),
        };
        result
    }

    /// Encrypts all of `plain` behind `records`. Only once established.
    ///
    /// # Errors
    /// The keys are used up (see the head of this file).
    pub(super) fn seal(&mut self, plain: &[u8], records: &mut Vec<u8>) -> io::Result<()> {
        self.write(Write::Data(plain), records)
    }

    /// Says once that nothing follows (close_notify), behind `records`; nothing before the handshake is over.
    pub(super) fn seal_goodbye(&mut self, records: &mut Vec<u8>) -> io::Result<()> {
        if !self.is_established() || std::mem::replace(&mut self.said_goodbye, true) {
            return Ok(());
        }
        self.write(Write::Goodbye, records)
    }

    fn write(&mut self, write: Write<'_>, records: &mut Vec<u8>) -> io::Result<()> {
        self.check_failed()?;
        let mut step = Step {
            plain: &mut Vec::new(),
            records,
            write,
            peer_has_ended: false,
        };
        // What is pending holds no whole record, or it would not be: nothing of it is used.
        let (_, result) = self.session.run(&mut self.pending, &mut step);
        let is_written = matches!(step.write, Write::Nothing);
        self.peer_has_ended |= step.peer_has_ended;
        self.has_failed = result.is_err() || !is_written;
        result.map_err(failure)?;
        self.check_failed()
    }

    fn check_failed(&self) -> io::Result<()> {
        match self.has_failed {
            true => Err(io::ErrorKind::NotConnected.into()),
            false => Ok(()),
        }
    }
}

impl Session {
    fn state(&self) -> &CommonState {
        match self {
            Session::Server(session) => session,
            Session::Client(session) => session,
        }
    }

    /// Steps until rustls rests: how many of the bytes it has used.
    fn run(&mut self, bytes: &mut [u8], step: &mut Step<'_>) -> (usize, Result<(), Error>) {
        let mut used = 0;
        loop {
            let rest = &mut bytes[used..];
            let (discard, next) = match self {
                Session::Server(session) => step.take(session.process_tls_records(rest)),
                Session::Client(session) => step.take(session.process_tls_records(rest)),
            };
            used += discard;
            match next {
                Ok(Next::Again) => {}
                Ok(Next::Rest) => return (used, Ok(())),
                Err(error) => {
                    self.collect_alert(&mut bytes[used..], step);
                    return (used, Err(error));
                }
            }
        }
    }

    /// What rustls has to say to the peer about an error.
    fn collect_alert(&mut self, bytes: &mut [u8], step: &mut Step<'_>) {
        while self.state().wants_write() {
            let _ = match self {
                Session::Server(session) => step.take(session.process_tls_records(bytes)),
                Session::Client(session) => step.take(session.process_tls_records(bytes)),
            };
        }
    }
}

impl Step<'_> {
    fn take<Data>(
        &mut self,
        status: UnbufferedStatus<'_, '_, Data>,
    ) -> (usize, Result<Next, Error>) {
        let UnbufferedStatus { mut discard, state } = status;
        let state = match state {
            Ok(state) => state,
            Err(error) => return (discard, Err(error)),
        };
        let mut next = Ok(Next::Again);
        match state {
            ConnectionState::ReadTraffic(mut records) => {
                while let Some(record) = records.next_record() {
                    match record {
                        Ok(record) => {
                            self.plain.extend_from_slice(record.payload);
                            discard += record.discard;
                        }
                        Err(error) => next = Err(error),
                    }
                }
            }
            ConnectionState::EncodeTlsData(mut data) => {
                encode(self.records, |space| data.encode(space));
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::PeerClosed => self.peer_has_ended = true,
            ConnectionState::WriteTraffic(traffic) => next = self.write(traffic),
            // Early data is never offered: a server's `max_early_data_size` is 0.
            _ => next = Ok(Next::Rest),
        }
        (discard, next)
    }

    fn write<Data>(&mut self, mut traffic: WriteTraffic<'_, Data>) -> Result<Next, Error> {
        let result = match std::mem::replace(&mut self.write, Write::Nothing) {
            Write::Nothing => return Ok(Next::Rest),
            Write::Data(plain) => {
                let overhead = (1 + plain.len() / RECORD_BYTES) * RECORD_OVERHEAD_BYTES;
                encrypt(self.records, plain.len() + overhead, |space| {
                    traffic.encrypt(plain, space)
                })
            }
            Write::Goodbye => encrypt(self.records, RECORD_OVERHEAD_BYTES, |space| {
                traffic.queue_close_notify(space)
            }),
        };
        match result {
            true => Ok(Next::Rest),
            false => Err(Error::EncryptError),
        }
    }
}

/// Lets rustls write a chunk that it has ready; it tells how long that is.
fn encode(records: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let before = records.len();
    let mut written = write(&mut []);
    if let Err(EncodeError::InsufficientSize(size)) = written {
        records.resize(before + size.required_size, 0);
        written = write(&mut records[before..]);
    }
    records.truncate(before + written.unwrap_or(0));
}

/// Lets rustls encrypt into this much more space, or as much as it says that it wants. False: it will not any more.
fn encrypt(
    records: &mut Vec<u8>,
    bytes: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> bool {
    let before = records.len();
    records.resize(before + bytes, 0);
    let mut written = write(&mut records[before..]);
    if let Err(EncryptError::InsufficientSize(size)) = written {
        records.resize(before + size.required_size, 0);
        written = write(&mut records[before..]);
    }
    records.truncate(before + *written.as_ref().unwrap_or(&0));
    written.is_ok()
}

fn failure(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
