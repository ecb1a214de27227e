//! Apache's ProxyAuthenticationTest and V1ProxyAuthenticationTest: somebody who is known, nobody, and nobody where that
//! is a role, on v2 and V1 paths. The gateway asks who clients are, and not what they may do.

use super::{by_tokens, exchange, gateway_as, refusal};
use crate::secured::Secured;

/// Where paths of each kind start, and a namespace of theirs. Of a V1 namespace of its own cluster the broker asks nothing.
const PATHS: [(&str, &str); 2] = [
    ("/ws/v2", "public/default"),
    ("/ws", "public/standalone/my-ns"),
];

#[test]
fn who_is_known_publishes_and_consumes() {
    let secured = Secured::get();
    let world = gateway_as(secured, "admin", &by_tokens(secured));
    for (start, namespace) in PATHS {
        let exchanged = exchange(&world, Some(&secured.token("me")), start, namespace);
        assert_eq!(exchanged, Ok(()), "{start}");
    }
}

#[test]
fn who_is_not_known_is_refused() {
    let secured = Secured::get();
    let world = gateway_as(secured, "admin", &by_tokens(secured));
    for (start, namespace) in PATHS {
        for token in [None, Some("a.b.c"), Some(&*secured.token_for("me", -60))] {
            let refused = exchange(&world, token, start, namespace);
            assert_eq!(refused, refusal(401, "Failed to authenticate"), "{start}");
        }
    }
}

#[test]
fn who_is_not_known_publishes_and_consumes_where_that_is_a_role() {
    let secured = Secured::get();
    let mut settings = by_tokens(secured);
    settings.push("anonymousUserRole=anonymousUser".to_owned());
    let world = gateway_as(secured, "admin", &settings);
    for (start, namespace) in PATHS {
        for token in [None, Some("a.b.c")] {
            assert_eq!(exchange(&world, token, start, namespace), Ok(()), "{start}");
        }
    }
}
