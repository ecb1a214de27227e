//! The echo server on the runtime: one shard, an acceptor, a task per socket.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use pws_fast::runtime::acceptor::{AcceptPlan, Accepting};
use pws_fast::runtime::{Accepted, Acceptor, Seats, ShardContext, ShardPlan, Socket};
use pws_fast::runtime::{cores, driver, shard, spawn};

use crate::echo::{After, Echo};

/// The suite opens one connection at a time.
const MAX_CONNECTIONS: usize = 64;

/// What may be unsent before reading pauses: two of the largest messages.
const UNSENT_BYTES: usize = 32 * 1024 * 1024;

/// Autobahn waits a second for the end of a connection.
const SHUTDOWN_TIMEOUT_MS: u64 = 1000;

/// Starts the server on a free port of this machine. It runs until the process ends.
pub fn start() -> io::Result<Accepting> {
    let core = cores::allowed()?.first().copied().unwrap_or(0);
    let plan = ShardPlan {
        cores: vec![core],
        driver: driver::choose().driver,
    };
    let shards = shard::start(plan, accept)?;
    let acceptor = Acceptor::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 128)?;
    let plan = AcceptPlan {
        core: None,
        max_connections: MAX_CONNECTIONS,
        max_farewells: 0,
        farewell: Bytes::new(),
        seats: Seats::new(1),
    };
    acceptor.start(plan, shards.posts().to_vec(), |accepted| accepted)
}

async fn accept(mut context: ShardContext<Accepted>) {
    while let Some(batch) = context.inbox.recv().await {
        for accepted in batch {
            spawn(async move {
                // A connection that breaks is the suite's business: its report says so.
                let _ = serve(accepted).await;
            });
        }
    }
}

async fn serve(Accepted { stream, seat, .. }: Accepted) -> io::Result<()> {
    let _seat = seat;
    let socket = Socket::from_std(stream)?;
    let mut echo = Echo::new();
    let mut after = After::Read;
    while socket
        .read_with(|input| {
            if after == After::Read {
                after = echo.received(input, &mut |bytes| socket.send(bytes));
                if after == After::Shutdown {
                    socket.shutdown_after_flush(SHUTDOWN_TIMEOUT_MS);
                }
            }
        })
        .await?
        .is_some()
    {
        socket.unsent_at_most(UNSENT_BYTES).await;
    }
    socket.shutdown_after_flush(SHUTDOWN_TIMEOUT_MS);
    Ok(())
}
