//! Too much of everything that has a length or a depth.

use serde_json::json;

use super::{answer, producer, with_lines};
use crate::support::raw::{claiming, frame, upgrade_request};
use crate::support::{Neighbours, Raw, World};

#[test]
fn requests_that_are_too_large_are_refused() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let path = producer("large");
    for (request, status) in [
        (
            upgrade_request(&format!("{path}?{}", "x".repeat(20_000))),
            414,
        ),
        (
            upgrade_request(&format!("{path}?token={}", "x".repeat(1 << 20))),
            414,
        ),
        (
            upgrade_request(&format!("{path}{}", "x".repeat(2_048))),
            400,
        ),
        (
            upgrade_request(&format!(
                "/ws/v2/producer/persistent/{}/d/t",
                "x".repeat(256)
            )),
            400,
        ),
        (
            upgrade_request(&format!("{path}?producerName={}", "x".repeat(2_049))),
            400,
        ),
        (
            upgrade_request(&format!(
                "/ws/v3/consumer/sub?topics=t{}",
                ",t".repeat(1_000)
            )),
            400,
        ),
        (
            upgrade_request(&format!("{path}?encryptionKeys=k{}", ",k".repeat(1_000))),
            400,
        ),
        (
            with_lines(
                &path,
                &format!("Authorization: Bearer {}\r\n", "x".repeat(1 << 20)),
            ),
            431,
        ),
        (
            with_lines(&path, &format!("Cookie: {}\r\n", "x".repeat(1 << 20))),
            431,
        ),
        (
            with_lines(&path, &format!("{}: x\r\n", "x".repeat(1 << 20))),
            431,
        ),
        (with_lines(&path, &"a: b\r\n".repeat(200)), 431),
        ("\r\n".repeat(20_000), 400),
    ] {
        let refused = answer(&world, request.as_bytes());
        assert_eq!(refused.status, status, "{}", refused.body);
    }
    neighbours.are_well();
}

#[test]
fn frames_that_are_too_large_end_the_socket_before_they_are_kept() {
    let world = World::with(&["webSocketMaxTextFrameSize=65536"]);
    let mut neighbours = Neighbours::move_in(&world);
    let fragments = [frame(0x01, &[b'x'; 40_000]), frame(0x80, &[b'x'; 40_000])].concat();
    for bytes in [
        claiming(0x81, 65_537, b""),
        claiming(0x82, 1 << 40, b""),
        claiming(0x81, (1 << 63) - 1, b"lies"),
        fragments,
    ] {
        let mut client = Raw::open(world.address(), &producer("large"));
        client.try_send(&bytes);
        assert_eq!(client.close_code(), 1009);
    }
    neighbours.are_well();
}

#[test]
fn messages_with_too_much_in_them_are_refused_and_the_socket_stays() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let path = producer("large");
    let mut client = world.open(&path);
    let deep = |open: &str, close: &str| {
        format!(
            r#"{{"payload":"eA==","x":{}1{}}}"#,
            open.repeat(50_000),
            close.repeat(50_000)
        )
    };
    let many = |count: usize| -> serde_json::Value {
        let properties = (0..count).map(|n| (n.to_string(), json!("")));
        json!({ "payload": "eA==", "properties": properties.collect::<serde_json::Map<_, _>>() })
    };
    let clusters = json!({ "payload": "eA==", "replicationClusters": vec!["c"; 1_001] });
    for (message, why) in [
        (deep("[", "]"), "nested too deep"),
        (deep(r#"{"x":"#, "}"), "nested too deep"),
        (many(10_001).to_string(), "More than 10000 properties"),
        (clusters.to_string(), "More than 1000 replicationClusters"),
    ] {
        client.send(&message);
        let answer = client.json();
        assert_eq!(answer["result"], "send-error:3", "{answer}");
        assert!(
            answer["errorMsg"]
                .as_str()
                .is_some_and(|text| text.contains(why)),
            "{answer}"
        );
    }
    client.publish_json(many(10_000));
    neighbours.are_well();
}
