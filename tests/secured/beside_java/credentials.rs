//! What is asked of both: credentials of every kind in every place, and tokens with every content.

use serde_json::json;

use super::cases::{Cases, basic, bearer};
use super::pair::Door;
use crate::secured::{BASIC_PASSWORD, BASIC_USER, Secured};
use crate::support::tokens;

/// What may stand where a client says who he is, at a topic where role `a` may do everything.
pub fn credentials(cases: &mut Cases, path: &str) {
    tokens_in_headers(cases, path);
    methods_in_headers(cases, path);
    passwords_in_headers(cases, path);
    in_the_query(cases, path);
    over_tls(cases, path);
}

fn method(name: &str) -> String {
    format!("X-Pulsar-Auth-Method-Name: {name}\r\n")
}

fn password() -> String {
    basic(&format!("{BASIC_USER}:{BASIC_PASSWORD}"))
}

fn tokens_in_headers(cases: &mut Cases, path: &str) {
    let a = Secured::get().token("a");
    for (name, lines) in [
        ("nothing", String::new()),
        ("a token", bearer(&a)),
        (
            "no token behind the scheme",
            "Authorization: Bearer\r\n".to_owned(),
        ),
        (
            "a space behind the scheme",
            "Authorization: Bearer \r\n".to_owned(),
        ),
        ("an empty header", "Authorization:\r\n".to_owned()),
        (
            "two spaces before the token",
            format!("Authorization: Bearer  {a}\r\n"),
        ),
        (
            "no space before the token",
            format!("Authorization: Bearer{a}\r\n"),
        ),
        (
            "a scheme in small letters",
            format!("Authorization: bearer {a}\r\n"),
        ),
        ("no scheme", format!("Authorization: {a}\r\n")),
        (
            "two headers, the good one first",
            bearer(&a) + &bearer("a.b.c"),
        ),
        (
            "two headers, the good one last",
            bearer("a.b.c") + &bearer(&a),
        ),
        ("no token", bearer("a.b.c")),
        ("half a token", bearer(&a[..a.len() / 2])),
    ] {
        cases.plain(name, path, &lines);
    }
}

fn methods_in_headers(cases: &mut Cases, path: &str) {
    let a = Secured::get().token("a");
    for (name, lines) in [
        (
            "the method token and a token",
            method("token") + &bearer(&a),
        ),
        ("the method token and nothing", method("token")),
        ("the method tls and a token", method("tls") + &bearer(&a)),
        (
            "the method basic and a token",
            method("basic") + &bearer(&a),
        ),
        (
            "a method that is none and a token",
            method("none") + &bearer(&a),
        ),
        (
            "a method that nobody knows and a token",
            method("athenz") + &bearer(&a),
        ),
        ("an empty method and a token", method("") + &bearer(&a)),
        (
            "a method in capitals and a token",
            method("TOKEN") + &bearer(&a),
        ),
    ] {
        cases.plain(name, path, &lines);
    }
}

fn passwords_in_headers(cases: &mut Cases, path: &str) {
    let password = password();
    for (name, lines) in [
        ("a password", password.clone()),
        (
            "the method basic and a password",
            method("basic") + &password,
        ),
        (
            "the method token and a password",
            method("token") + &password,
        ),
        ("a wrong password", basic(&format!("{BASIC_USER}:wrong"))),
        ("an empty password", basic(&format!("{BASIC_USER}:"))),
        ("a user that is not there", basic("somebody:wrong")),
        ("a password without a colon", basic(BASIC_USER)),
        (
            "a password that is no base64",
            "Authorization: Basic ???\r\n".to_owned(),
        ),
        ("no password", "Authorization: Basic \r\n".to_owned()),
        (
            "a password, the scheme in small letters",
            password.replace("Basic", "basic"),
        ),
        (
            "a scheme that nobody knows",
            "Authorization: Digest abc\r\n".to_owned(),
        ),
    ] {
        cases.plain(name, path, &lines);
    }
}

fn in_the_query(cases: &mut Cases, path: &str) {
    let a = Secured::get().token("a");
    for (name, query, lines) in [
        ("a token in the query", format!("token={a}"), String::new()),
        (
            "a token and its scheme in the query",
            format!("token=Bearer%20{a}"),
            String::new(),
        ),
        (
            "an empty token in the query",
            "token=".to_owned(),
            String::new(),
        ),
        (
            "a bad token in the query",
            "token=a.b.c".to_owned(),
            String::new(),
        ),
        (
            "two tokens in the query, the good one first",
            format!("token={a}&token=x"),
            String::new(),
        ),
        (
            "two tokens in the query, the good one last",
            format!("token=x&token={a}"),
            String::new(),
        ),
        (
            "a good token in the query, a bad one in the header",
            format!("token={a}"),
            bearer("a.b.c"),
        ),
        (
            "a bad token in the query, a good one in the header",
            "token=a.b.c".to_owned(),
            bearer(&a),
        ),
        (
            "a good token in the query, a password in the header",
            format!("token={a}"),
            password(),
        ),
        (
            "a parameter in capitals",
            format!("TOKEN={a}"),
            String::new(),
        ),
    ] {
        cases.plain(name, &format!("{path}?{query}"), &lines);
    }
}

fn over_tls(cases: &mut Cases, path: &str) {
    let secured = Secured::get();
    let (a, nobody) = (secured.token("a"), secured.token("nobody"));
    let certificate = |role: &str| Door::Tls(Some(secured.authority().client(role)));
    for (name, door, lines) in [
        ("TLS, nothing", Door::Tls(None), String::new()),
        ("TLS, a token", Door::Tls(None), bearer(&a)),
        ("TLS, a certificate", certificate("a"), String::new()),
        (
            "TLS, a certificate without rights",
            certificate("nobody"),
            String::new(),
        ),
        (
            "TLS, the method tls and a certificate",
            certificate("a"),
            method("tls"),
        ),
        (
            "TLS, the method token and a certificate",
            certificate("a"),
            method("token"),
        ),
        (
            "TLS, a certificate and a bad token",
            certificate("a"),
            bearer("a.b.c"),
        ),
        (
            "TLS, a certificate and the token of nobody",
            certificate("a"),
            bearer(&nobody),
        ),
        (
            "TLS, the certificate of nobody and a token",
            certificate("nobody"),
            bearer(&a),
        ),
        (
            "TLS, the certificate of nobody and a password",
            certificate("nobody"),
            password(),
        ),
    ] {
        cases.add(name, door, path, &lines);
    }
}

/// What a token may say.
pub fn what_tokens_say(cases: &mut Cases, path: &str) {
    let now = tokens::now_seconds();
    for (name, claims) in [
        ("has expired", json!({ "sub": "a", "exp": now - 60 })),
        ("expires later", json!({ "sub": "a", "exp": now + 600 })),
        (
            "expires in 10,000 years",
            json!({ "sub": "a", "exp": now + 315_360_000_000_i64 }),
        ),
        (
            "expires at a fraction",
            json!({ "sub": "a", "exp": now as f64 + 600.5 }),
        ),
        (
            "expires at a text",
            json!({ "sub": "a", "exp": (now + 600).to_string() }),
        ),
        (
            "expires at a word",
            json!({ "sub": "a", "exp": "tomorrow" }),
        ),
        ("expires at null", json!({ "sub": "a", "exp": null })),
        ("is for later", json!({ "sub": "a", "nbf": now + 600 })),
        ("was issued later", json!({ "sub": "a", "iat": now + 600 })),
        ("has no role", json!({ "iss": "a" })),
        ("has an empty role", json!({ "sub": "" })),
        ("has a role of spaces", json!({ "sub": "  " })),
        ("has a number as role", json!({ "sub": 7 })),
        ("has a list of roles", json!({ "sub": ["a", "b"] })),
        ("has an empty list of roles", json!({ "sub": [] })),
        ("has null as role", json!({ "sub": null })),
        ("is of somebody without rights", json!({ "sub": "nobody" })),
        ("is of the superuser", json!({ "sub": "root" })),
        ("is of the tenant's administrator", json!({ "sub": "t" })),
        ("is no object", json!("a")),
    ] {
        cases.plain(
            format!("a token that {name}"),
            path,
            &bearer(&tokens::claiming(&claims)),
        );
    }
    let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
    let unsigned = format!(
        "{}.{}.",
        encode(r#"{"alg":"none"}"#),
        encode(r#"{"sub":"a"}"#)
    );
    cases.plain("a token without a signature", path, &bearer(&unsigned));
    let of_another = tokens::token("a").replace('.', "x.");
    cases.plain("a token of another key", path, &bearer(&of_another));
}
