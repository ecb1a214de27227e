//! Names that mean something else to whoever reads them next.

use super::answer;
use crate::support::raw::upgrade_request;
use crate::support::{Neighbours, World};

#[test]
fn names_that_are_paths_to_elsewhere_are_refused() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    for (path, status) in [
        ("/ws/v2/producer/persistent/../default/t", 400),
        ("/ws/v2/producer/persistent/./default/t", 400),
        ("/ws/v2/producer/persistent/public/../t", 400),
        ("/ws/v2/producer/persistent/public/%2e%2e/t", 400),
        ("/ws/v2/producer/persistent/public/default/..", 400),
        ("/ws/v2/producer/persistent/public/default/.", 400),
        ("/ws/v2/producer/persistent/public/default/%2e%2e", 400),
        (
            "/ws/v2/producer/persistent/public/default/..%2f..%2fclusters",
            400,
        ),
        (
            "/ws/v2/producer/persistent/public/default/%2e%2e%2f%2e%2e%2fclusters",
            400,
        ),
        ("/ws/v2/consumer/persistent/public/../t/sub", 400),
        ("/ws/v2/reader/persistent/public/default/..", 400),
        ("/ws/producer/persistent/public/../default/t", 400),
        ("/ws/v3/consumer/sub?topics=public/../t", 400),
        (
            "/ws/v3/consumer/sub?topics=persistent://public/default/..",
            400,
        ),
        ("/ws/v3/consumer/sub?topicsPattern=public/../.*", 400),
        (
            "/ws/v2/consumer/persistent/public/default/t/sub?maxRedeliverCount=1&deadLetterTopic=persistent://public/../t",
            400,
        ),
        (
            "/ws/v2/consumer/persistent/public/default/t/sub?maxRedeliverCount=1&deadLetterTopic=public/default/..",
            400,
        ),
        ("/ws/v2/../../etc/passwd", 404),
        ("/../../../etc/passwd", 404),
        ("/ws/v2/producer/file/etc/passwd/x", 400),
        ("/ws/v2/producer/persistent/public/default/t%00.txt", 400),
        ("/ws/v2/producer/persistent/public/default/..\\..\\x", 400),
    ] {
        let refused = answer(&world, upgrade_request(path).as_bytes());
        assert_eq!(refused.status, status, "{path}: {}", refused.body);
        assert!(!refused.body.contains("root:"), "{}", refused.body);
    }
    neighbours.are_well();
}
