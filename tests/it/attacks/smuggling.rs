//! Requests that a proxy in front may read otherwise than the gateway.

use super::{answer, producer, with_lines};
use crate::support::raw::upgrade_request;
use crate::support::{Neighbours, Raw, World};

#[test]
fn a_request_that_can_be_read_in_two_ways_is_refused_whole() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let path = producer("smuggled");
    let second = upgrade_request(&path);
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: +0\r\n",
        "Content-Length: 0, 5\r\n",
        "Content-Length : 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tTransfer-Encoding: chunked\r\n",
        " X: a\r\n",
        "X: a\nTransfer-Encoding: chunked\r\n",
        "X: a\rTransfer-Encoding: chunked\r\n",
        "X: a\0b\r\n",
        "X\0: a\r\n",
        "X a\r\n",
        ": a\r\n",
        "Host: elsewhere\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    ] {
        // What a proxy may take for the body, or for the next request.
        let request = with_lines(&path, lines) + "0\r\n\r\n" + &second;
        let refused = answer(&world, request.as_bytes());
        assert_eq!(refused.status, 400, "{lines:?}: {}", refused.body);
        assert!(refused.head.contains("Connection: close\r\n"));
        assert!(
            !refused.body.contains("HTTP/1.1"),
            "two answers: {}",
            refused.body
        );
    }
    neighbours.are_well();
}

#[test]
fn a_second_request_behind_the_first_is_no_request() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let request = upgrade_request(&producer("smuggled"));
    let mut client = Raw::connect(world.address());
    client.try_send(request.repeat(2).as_bytes());
    assert!(client.http_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.close_code(), 1002);
    neighbours.are_well();
}
