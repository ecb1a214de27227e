//! What clients show of themselves, and the gateway's own certificates when they change while it runs: a thread beside
//! the shards looks at the files, and hands what it has read to them. Open sockets keep what they began with; a file
//! that cannot be used changes nothing.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::post::{Post, SocketId};
use super::shard::Shard;
use crate::config::ListenerTls;
use crate::runtime;
use crate::tls::server;
use crate::tls::watch::Watch;

impl Shard {
    /// The certificate by which TLS knows who the client is. None: it has shown none, or what it has shown was not judged
    /// (`tlsAllowInsecureConnection`).
    pub fn proven_certificate(&mut self, id: SocketId) -> Option<CertificateDer<'static>> {
        self.tls.as_ref().filter(|tls| tls.certificates_prove)?;
        let shown = self.sockets.get(id)?.socket.peer_certificates()?;
        shown.into_iter().next()
    }
}

/// The thread; dropping it ends it.
pub struct Renewal {
    stop: Option<flume::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Renewal {
    /// Looks every [`ListenerTls::refresh_ms`]. `watch` has looked before the files were first read.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        settings: ListenerTls,
        watch: Watch,
        posts: Vec<runtime::Post<Post>>,
    ) -> io::Result<Renewal> {
        let (stop, stopped) = flume::bounded(0);
        let thread = thread::Builder::new()
            .name("certificates".to_owned())
            .spawn(move || run(&settings, watch, &posts, &stopped))?;
        Ok(Renewal {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    settings: &ListenerTls,
    mut watch: Watch,
    posts: &[runtime::Post<Post>],
    stopped: &flume::Receiver<()>,
) {
    let interval = Duration::from_millis(settings.refresh_ms);
    while let Err(flume::RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
        if !watch.has_changed() {
            continue;
        }
        let served = match server::load(settings) {
            Ok(served) => served,
            Err(mistakes) => {
                let why = mistakes.join("; ");
                tracing::warn!("the new TLS files are not used, the old ones stay: {why}");
                continue;
            }
        };
        match served.valid.check(runtime::wall_ms()) {
            Ok(()) => tracing::info!("new TLS files: from now on handshakes use them"),
            Err(invalid) => tracing::warn!(
                "new TLS files: from now on handshakes use them, but {invalid}: clients will refuse it"
            ),
        }
        for post in posts {
            let mut batch = vec![Post::Certificates(served.clone())];
            while let Err(back) = post.try_post(batch) {
                if post.is_closed() {
                    break;
                }
                batch = back;
                thread::yield_now();
            }
        }
    }
}
