//! A page of another site that opens a socket with what the browser of its visitor holds.

use super::{AUTHENTICATED, TOKEN, answer, producer, with_lines};
use crate::support::{Raw, World};

#[test]
fn a_page_of_another_site_is_refused_even_with_a_token_and_the_own_page_is_not() {
    let world = World::with(&AUTHENTICATED);
    let path = format!("{}?token={TOKEN}", producer("cross-site"));
    let mut healthy = world.open(&path);
    for origin in [
        "https://evil.example",
        "null",
        "http://gateway.evil.example",
        "http://gateway:81",
    ] {
        let refused = answer(
            &world,
            with_lines(&path, &format!("Origin: {origin}\r\n")).as_bytes(),
        );
        assert_eq!(refused.status, 403, "{origin}: {}", refused.body);
    }
    // The test's requests ask the host "gateway".
    for lines in [
        "",
        "Origin: http://gateway\r\n",
        "Origin: https://gateway\r\n",
    ] {
        drop(Raw::open_with(world.address(), &path, lines));
    }
    healthy.publish("still here");
}

#[test]
fn without_a_token_a_page_learns_nothing_but_that_it_is_of_another_site() {
    let world = World::with(&AUTHENTICATED);
    let path = producer("cross-site");
    let refused = answer(
        &world,
        with_lines(&path, "Origin: https://evil.example\r\n").as_bytes(),
    );
    assert_eq!(refused.status, 403);
    let refused = answer(&world, with_lines(&path, "").as_bytes());
    assert_eq!(
        (refused.status, &*refused.body),
        (401, "Failed to authenticate\n")
    );
}
