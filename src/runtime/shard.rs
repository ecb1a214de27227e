//! A shard: one named thread, pinned to one CPU, with one event loop and one mailbox. Shards share nothing else.
//! What runs on a shard is the caller's future; this file starts it, and tells when it ended and how.

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use super::driver::{self, Driver};
use super::mailbox::{Inbox, Post, mailbox};
use super::{batch, connect, cores, flush, turn};

/// What to start.
#[derive(Clone, Debug)]
pub struct ShardPlan {
    /// One shard for each, pinned to it. A CPU may be named twice (tests on small machines do).
    pub cores: Vec<usize>,
    pub driver: Driver,
}

/// What a shard's future is given.
pub struct ShardContext<T> {
    pub index: usize,
    pub count: usize,
    pub core: usize,
    pub inbox: Inbox<T>,
    /// Every shard's mailbox by its index, this one's too.
    pub peers: Vec<Post<T>>,
}

/// A shard has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub index: usize,
    /// The message, when it panicked. What it held is lost then: the process should drain and end.
    pub panic: Option<String>,
}

/// The running shards.
pub struct Shards<T> {
    posts: Vec<Post<T>>,
    threads: Vec<JoinHandle<()>>,
    ended: flume::Receiver<Ended>,
}

/// Starts one shard per CPU of the plan; `main` makes each one's future, on its thread. All are set up (pinned, event
/// loop built) before any runs, so an error leaves none behind.
///
/// Tasks that still wait for I/O when a shard's future ends are forgotten together with their sockets: a future that
/// ends in order closes its sockets first and waits for their tasks.
///
/// # Errors
/// The first shard's that could not be set up, with the remedy.
pub fn start<T, Main, Fut>(plan: ShardPlan, main: Main) -> io::Result<Shards<T>>
where
    T: Send + 'static,
    Main: Fn(ShardContext<T>) -> Fut + Send + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    cores::check(&plan.cores)?;
    connect::start_resolver();
    let count = plan.cores.len();
    let (posts, inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| mailbox::<T>()).unzip();
    let (ended_sender, ended) = flume::unbounded();
    let (set_up_sender, set_up) = mpsc::channel();
    let mut threads = Vec::with_capacity(count);
    let mut starters = Vec::with_capacity(count);
    for (index, (inbox, &core)) in inboxes.into_iter().zip(&plan.cores).enumerate() {
        let context = ShardContext {
            index,
            count,
            core,
            inbox,
            peers: posts.clone(),
        };
        let (starter, go) = mpsc::channel::<()>();
        let (main, set_up, ended) = (main.clone(), set_up_sender.clone(), ended_sender.clone());
        let driver = plan.driver;
        threads.push(
            thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || run(driver, context, main, &set_up, &go, &ended))?,
        );
        starters.push(starter);
    }
    for _ in 0..count {
        let result = set_up.recv();
        result.unwrap_or_else(|_| Err(io::Error::other("a shard ended while it was set up")))?;
    }
    for starter in starters {
        // A receiver that is gone has reported its end already.
        let _ = starter.send(());
    }
    Ok(Shards {
        posts,
        threads,
        ended,
    })
}

/// One shard's thread: sets up, waits for the others, runs, reports its end.
fn run<T, Main, Fut>(
    driver: Driver,
    context: ShardContext<T>,
    main: Main,
    set_up: &mpsc::Sender<io::Result<()>>,
    go: &mpsc::Receiver<()>,
    ended: &flume::Sender<Ended>,
) where
    Main: Fn(ShardContext<T>) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let index = context.index;
    let built = cores::pin(context.core).and_then(|()| driver::build(driver));
    let (mut runtime, result) = match built {
        Ok(runtime) => (Some(runtime), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // Nobody listens any more when another shard has failed; `go` says so below.
    let _ = set_up.send(result);
    let Some(runtime) = runtime.as_mut().filter(|_| go.recv().is_ok()) else {
        return;
    };
    let result = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            main(context).await;
            flush::clear();
            batch::clear();
            turn::clear();
        });
    }));
    let panic = result.err().map(|payload| panic_message(payload.as_ref()));
    // The handle may be gone: then nobody wants to know.
    let _ = ended.send(Ended { index, panic });
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

impl<T> Shards<T> {
    pub fn count(&self) -> usize {
        self.posts.len()
    }

    /// Every shard's mailbox by its index.
    pub fn posts(&self) -> &[Post<T>] {
        &self.posts
    }

    /// Posts one value to a shard.
    ///
    /// # Errors
    /// The value, when that mailbox is full or the shard has ended.
    pub fn post(&self, index: usize, value: T) -> Result<(), T> {
        let refused = self.posts[index].try_post(vec![value]);
        refused.map_err(|mut batch| batch.remove(0))
    }

    /// The next shard that ends, however it does; for a thread that may wait. One [`Ended`] per shard in all, shared
    /// by everybody who listens.
    pub fn ended(&self) -> flume::Receiver<Ended> {
        self.ended.clone()
    }

    /// Waits until all shards have ended.
    ///
    /// # Errors
    /// The shards that panicked and were not seen through [`Shards::ended`].
    pub fn join(self) -> Result<(), Vec<Ended>> {
        for thread in self.threads {
            // The thread catches its future's panic and has nothing of its own to panic with.
            let _ = thread.join();
        }
        let panicked: Vec<Ended> = self
            .ended
            .try_iter()
            .filter(|end| end.panic.is_some())
            .collect();
        if panicked.is_empty() {
            Ok(())
        } else {
            Err(panicked)
        }
    }
}
