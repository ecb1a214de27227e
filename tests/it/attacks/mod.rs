//! The attack list: each attack with the status that it gets, and nothing else harmed.
//!
//! Set-up: real sockets that say what attackers say, beside sockets on both shards that have no part in it. Claim: each is
//! refused or ended as told here, and the neighbours go on. Frames and requests that are merely broken are `bad_input`'s.

mod crash;
mod cross_site;
mod given_back;
mod guesses;
mod names;
mod oversize;
mod places;
mod proxies;
mod secret_settings;
mod secrets;
pub mod slow;
mod smuggling;
mod tokens;

use crate::support::Raw;
use crate::support::raw::{Answer, upgrade_request};
use crate::support::{World, topic};

/// With authentication by tokens, and the key that signs them.
const AUTHENTICATED: [&str; 3] = [
    "authenticationEnabled=true",
    "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
    "tokenSecretKey=YSBrZXkgb2YgdGhlIGF0dGFjayBsaXN0LCBubyBvdGhlcg==",
];

/// `{"sub":"attacked"}`, signed by that key with HS256.
const TOKEN: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiAiYXR0YWNrZWQifQ.Sn_Cw1zH8RMsVlWB6Qj0BKaXC7yATLS3E3ZvnDEY9hU";

/// The same, signed by another one.
const WRONG_TOKEN: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiAiYXR0YWNrZWQifQ.u90y_g2gp0RPtc_uo6MxZIZeAe5AyG5n2WoWK7j2kcc";

fn producer(name: &str) -> String {
    format!("/ws/v2/producer/persistent/public/default/{}", topic(name))
}

fn answer(world: &World, request: &[u8]) -> Answer {
    let mut client = Raw::connect(world.address());
    client.try_send(request);
    client.answer()
}

/// A proper request with these lines too.
fn with_lines(path: &str, lines: &str) -> String {
    upgrade_request(path).replace("Host:", &format!("{lines}Host:"))
}
