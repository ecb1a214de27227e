//! Sockets are spread over the shards. Set-up: the built binary on two CPUs and its own broker, a few hundred sockets of
//! which many come and go. Claim: each shard has its half of those that are left (the long run does it with ten thousand).

use crate::support::process::Gateway;
use crate::support::{Client, topic};

const SOCKETS: usize = 400;

/// In percent of what each shard should have.
const TOLERANCE: usize = 2;

#[test]
fn every_shard_has_its_part_of_the_sockets() {
    let shards = std::thread::available_parallelism()
        .map_or(1, |cpus| cpus.get())
        .min(2);
    let cores = format!("cores=0-{}", shards - 1);
    let mut gateway = Gateway::start(&["--port", "0", "--set", &cores]);
    let address = gateway.address();
    let path = format!(
        "/ws/v2/consumer/persistent/public/default/{}/s?subscriptionType=Shared",
        topic("spread")
    );
    let open = || Client::open(address, &path).expect("it is let in");
    let mut sockets: Vec<Client> = (0..SOCKETS).map(|_| open()).collect();
    // Those of one shard go, and others come.
    for index in (0..SOCKETS / 2).rev() {
        sockets.swap_remove(2 * index).close();
    }
    while sockets.len() < SOCKETS {
        sockets.push(open());
    }
    let by_shard = gateway.sockets_by_shard(shards);
    for socket in &mut sockets {
        assert_eq!(socket.closed().code, 1001);
    }
    assert_eq!(gateway.exit_status(), Some(0));
    assert_eq!(by_shard.iter().sum::<usize>(), SOCKETS, "{by_shard:?}");
    let part = SOCKETS / shards;
    for sockets in &by_shard {
        let off = sockets.abs_diff(part);
        assert!(off * 100 <= part * TOLERANCE, "{by_shard:?}");
    }
}
