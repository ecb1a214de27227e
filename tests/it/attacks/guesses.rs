//! More credentials than there is time to look at: passwords guessed faster than they can be hashed, and good tokens of open
//! sockets without end.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{producer, with_lines};
use crate::openid;
use crate::support::issuer::Issuer;
use crate::support::{Client, Raw, base64};
use crate::token_expiry::{CHALLENGE, response};

/// More than may wait for the desk.
const GUESSES: usize = 1_300;

/// Of bcrypt: all guesses together take far longer than the tokens here live, and one of them far less.
const COST: u32 = 10;

/// Seconds that a short token lives.
const SHORT: i64 = 8;

#[test]
fn guesses_of_passwords_close_nobody_and_keep_nobody_out_who_is_known() {
    let issuer = Issuer::start();
    let hash = bcrypt::hash_with_salt("password", COST, [7; 16]).expect("a hash");
    let users = base64(&format!("me:{hash}\n"));
    let mut world = openid::world(
        &[&issuer.name],
        &[
            openid::PLAIN,
            "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderBasic,\
             org.apache.pulsar.broker.authentication.oidc.AuthenticationProviderOpenID",
            &format!("basicAuthConf=data:;base64,{users}"),
        ],
    );
    let path = producer("guesses");
    let basic = |pair: &str| format!("Authorization: Basic {}\r\n", base64(pair));
    Raw::open_with(world.address(), &path, &basic("me:password"));
    let open = || {
        let token = issuer.token("me", "pulsar", SHORT);
        Client::open(world.address(), &format!("{path}?token={token}")).expect("let in")
    };
    let (mut client, mut silent) = (open(), open());
    let renewed = response(&issuer.token("me", "pulsar", 600));
    // As soon as it is asked, which is while guesses come.
    let answering = std::thread::spawn(move || {
        assert_eq!(client.text(), CHALLENGE);
        client.send_json(renewed);
        client
    });

    let guess = with_lines(&path, &basic("me:guess"));
    let strangers = (0..GUESSES).map(|_| {
        let mut stranger = Raw::connect(world.address());
        stranger.send(guess.as_bytes());
        stranger
    });
    let mut strangers: Vec<Raw> = strangers.collect();

    // Before them all.
    Raw::open_with(world.address(), &path, &basic("me:password"));
    let mut client = answering.join().expect("it is asked");
    assert_eq!(silent.text(), CHALLENGE);
    assert_eq!(silent.closed().code, 4005);
    client.publish("still here");

    // Those who still wait do not hold up the end.
    let stopping = world.begin_stop();
    let told = strangers.iter_mut().map(|stranger| stranger.answer().body);
    let told: Vec<String> = told.collect();
    for why in [
        "Too many clients are being authenticated",
        "The gateway is shutting down",
    ] {
        assert!(told.iter().any(|text| text.starts_with(why)), "{why}");
    }
    stopping.ended();
}

/// Each sends good answers one after the other, without being asked.
const STREAMS: usize = 10;

#[test]
fn sockets_that_stream_good_tokens_keep_nobody_out() {
    let issuer = Issuer::start();
    let world = openid::world(&[&issuer.name], &[openid::PLAIN]);
    let path = producer("streams");
    let open = || {
        let token = issuer.token("me", "pulsar", 600);
        Client::open(world.address(), &format!("{path}?token={token}")).expect("let in")
    };
    let answer = response(&issuer.token("me", "pulsar", 600));
    let is_over = AtomicBool::new(false);
    let streams: Vec<Client> = (0..STREAMS).map(|_| open()).collect();
    std::thread::scope(|scope| {
        let streaming = streams.into_iter().map(|mut stream| {
            let (answer, is_over) = (&answer, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    stream.send_json(answer.clone());
                }
                stream.publish("still here");
            })
        });
        let streaming: Vec<_> = streaming.collect();
        for _ in 0..STREAMS {
            open().publish("let in");
        }
        is_over.store(true, Ordering::Relaxed);
        for stream in streaming {
            stream.join().expect("its socket is open still");
        }
    });
}
