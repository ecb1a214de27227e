//! Tokens, made by others and made up here: what is verified, and what must not be.

use ring::hmac;

use super::vectors::{ED25519, P256, P384, P521, RSA, SECRET, TOKENS};
use crate::auth::{
    Authentication, Identity, Offered, Settings, Step, TokenSettings, Unidentified, Why, tls,
};

const NOW_MS: u64 = 1_700_000_000_000;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn provider(token: TokenSettings) -> Authentication {
    let settings = Settings {
        providers: vec![
            "org.apache.pulsar.broker.authentication.AuthenticationProviderToken".to_owned(),
        ],
        token,
        ..Settings::default()
    };
    let (authentication, notes) = Authentication::new(&settings).unwrap();
    assert!(notes.is_empty());
    authentication
}

fn of_key(key: &str) -> Authentication {
    let algorithm = match key {
        SECRET => {
            return provider(TokenSettings {
                secret_key: some(SECRET),
                ..TokenSettings::default()
            });
        }
        RSA => None,
        ED25519 => some("EdDSA"),
        _ => some("es256"),
    };
    provider(TokenSettings {
        public_key: some(key),
        public_alg: algorithm,
        ..TokenSettings::default()
    })
}

/// As a shard or, where that takes too long, the desk says.
fn judged(by: Authentication, token: &str) -> Result<Identity, Why> {
    let offered = || Offered::new_token(None, token);
    match by.check(&offered(), NOW_MS) {
        Step::Done(result) => result,
        Step::Slow => {
            let mut desk = crate::auth::Desk::new(by.into());
            let question = crate::auth::Question {
                who: (),
                offered: offered(),
                lane: crate::auth::Lane::Handshake,
            };
            let answer = desk.ask(question, super::at(NOW_MS)).unwrap().1;
            answer.map_err(|why| match why {
                Unidentified::Refused(why) | Unidentified::Unknown(why) => why,
            })
        }
    }
}

fn signed_by(secret: &[u8], header: &str, claims: &str) -> String {
    let encode = |part: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(part);
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}

/// With the secret of the tests.
fn signed(claims: &str) -> String {
    let secret = base64_simd::STANDARD.decode_to_vec(SECRET).unwrap();
    signed_by(&secret, r#"{"alg":"HS256"}"#, claims)
}

#[test]
fn tokens_of_every_algorithm_are_verified_by_their_key_and_by_no_other() {
    for (algorithm, key, role, token) in TOKENS {
        let identity = judged(of_key(key), token).unwrap();
        assert_eq!(&*identity.role, *role, "{algorithm}");
        assert_eq!(identity.expires_ms, None);
        for other in [SECRET, RSA, P256, P384, P521, ED25519] {
            let refused = judged(of_key(other), token).is_err();
            assert_eq!(refused, other != *key, "{algorithm} by {other}");
        }
    }
}

#[test]
fn a_token_of_which_anything_has_been_changed_is_refused() {
    for (algorithm, key, _, token) in TOKENS {
        let parts: Vec<_> = token.split('.').collect();
        let claims = base64_simd::URL_SAFE_NO_PAD.encode_to_string(r#"{"sub":"admin"}"#);
        let mut signature = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(parts[2])
            .unwrap();
        signature[5] ^= 1;
        let signature = base64_simd::URL_SAFE_NO_PAD.encode_to_string(signature);
        for changed in [
            format!("{}.{claims}.{}", parts[0], parts[2]),
            format!("{}.{}.{signature}", parts[0], parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{token}."),
            format!("{token}A"),
        ] {
            assert!(
                judged(of_key(key), &changed).is_err(),
                "{algorithm}: {changed}"
            );
        }
    }
}

#[test]
fn an_unsigned_token_and_one_signed_with_the_public_key_as_a_secret_are_refused() {
    let claims = r#"{"sub":"admin"}"#;
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":""}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
    ] {
        let token = signed_by(
            &base64_simd::STANDARD.decode_to_vec(SECRET).unwrap(),
            header,
            claims,
        );
        let unsigned = &token[..=token.rfind('.').unwrap()];
        for token in [&token[..], unsigned] {
            assert!(judged(of_key(SECRET), token).is_err(), "{header}");
            assert!(judged(of_key(RSA), token).is_err(), "{header}");
        }
    }
    for key in [RSA, P256, ED25519] {
        let public = base64_simd::STANDARD.decode_to_vec(key).unwrap();
        for secret in [&public[..], key.as_bytes()] {
            let token = signed_by(secret, r#"{"alg":"HS256"}"#, claims);
            let why = judged(of_key(key), &token).unwrap_err();
            assert_eq!(why, "the token's algorithm is not one of the key's");
        }
    }
}

#[test]
fn a_token_counts_between_its_times() {
    let now = NOW_MS / 1000;
    let check = |skew: &str, claims: String| {
        let by = provider(TokenSettings {
            secret_key: some(SECRET),
            allowed_clock_skew_seconds: some(skew),
            ..TokenSettings::default()
        });
        let result = judged(by, &signed(&claims));
        result.map(|identity| identity.expires_ms.map(|ms| ms / 1000))
    };
    let exp = |seconds: u64| format!(r#"{{"sub":"a","exp":{seconds}}}"#);
    let nbf = |seconds: u64| format!(r#"{{"sub":"a","nbf":{seconds}}}"#);
    assert_eq!(check("0", exp(now + 60)), Ok(Some(now + 60)));
    // Java: it ends after the second that it names.
    assert_eq!(check("0", exp(now)), Ok(Some(now)));
    assert_eq!(check("0", exp(now - 1)), Err("the token has expired"));
    assert_eq!(check("10", exp(now - 10)), Ok(Some(now)));
    assert_eq!(check("10", exp(now - 11)), Err("the token has expired"));
    assert_eq!(check("0", nbf(now)), Ok(None));
    assert_eq!(check("0", nbf(now + 1)), Err("the token is not valid yet"));
    assert_eq!(check("10", nbf(now + 10)), Ok(None));
    let of = |exp: &str| check("0", format!(r#"{{"sub":"a","exp":{exp}}}"#));
    assert_eq!(of(&format!("\"{}\"", now + 5)), Ok(Some(now + 5)));
    assert_eq!(of(&format!("{}.9", now + 5)), Ok(Some(now + 5)));
    assert_eq!(of("-1"), Err("the token has expired"));
    assert_eq!(of("null"), Ok(None));
    assert!(of("1e300").is_ok());
    for none in ["true", "\"soon\"", "[]", "{}"] {
        assert_eq!(of(none), Err("a time in the token is none"), "{none}");
    }
}

#[test]
fn a_token_is_for_its_audience_only() {
    let by = |audience: Option<String>, claims: &str| {
        let by = provider(TokenSettings {
            secret_key: some(SECRET),
            audience_claim: audience.is_some().then(|| "aud".to_owned()),
            audience,
            ..TokenSettings::default()
        });
        judged(by, &signed(claims)).is_ok()
    };
    for (claims, is_for) in [
        (r#"{"sub":"a","aud":"me"}"#, true),
        (r#"{"sub":"a","aud":["you","me"]}"#, true),
        (r#"{"sub":"a","aud":"you"}"#, false),
        (r#"{"sub":"a","aud":["you"]}"#, false),
        (r#"{"sub":"a","aud":[]}"#, false),
        (r#"{"sub":"a","aud":{"me":1}}"#, false),
        (r#"{"sub":"a"}"#, false),
    ] {
        assert_eq!(by(some("me"), claims), is_for, "{claims}");
        assert!(by(None, claims), "{claims}");
    }
}

#[test]
fn the_role_is_in_the_claim_that_names_it() {
    let role = |claim: Option<&str>, claims: &str| {
        let by = provider(TokenSettings {
            secret_key: some(SECRET),
            auth_claim: claim.map(str::to_owned),
            ..TokenSettings::default()
        });
        judged(by, &signed(claims))
            .ok()
            .map(|it| it.role.to_string())
    };
    assert_eq!(role(None, r#"{"sub":"a","role":"b"}"#), some("a"));
    assert_eq!(role(Some("role"), r#"{"sub":"a","role":"b"}"#), some("b"));
    assert_eq!(role(Some("role"), r#"{"role":["b","c"]}"#), some("b"));
    // The last of two equal names counts, as in Java's library.
    assert_eq!(role(None, r#"{"sub":"a","sub":"b"}"#), some("b"));
    for nobody in [
        r#"{}"#,
        r#"{"sub":""}"#,
        r#"{"sub":" "}"#,
        r#"{"sub":null}"#,
        r#"{"sub":5}"#,
        r#"{"sub":[]}"#,
        r#"{"sub":[5]}"#,
        r#"[]"#,
        r#""a""#,
    ] {
        assert_eq!(role(None, nobody), None, "{nobody}");
    }
}

#[test]
fn roles_beside_the_first_are_kept_where_brokers_may_look_at_them() {
    let further = |kept: bool, claims: &str| {
        let mut by = of_key(SECRET);
        by.keep_credentials = kept;
        let identity = judged(by, &signed(claims)).unwrap();
        identity.further_roles.join(" ")
    };
    assert_eq!(
        further(true, r#"{"sub":["a","c","b","c","a"]}"#),
        r#""b" "c""#
    );
    assert_eq!(further(true, r#"{"sub":["a"]}"#), "");
    assert_eq!(further(true, r#"{"sub":"a"}"#), "");
    // The gateway itself looks at the first alone.
    assert_eq!(further(false, r#"{"sub":["a","b"]}"#), "");
}

#[test]
fn nobody_is_taken_for_the_gateway() {
    let name = crate::pulsar::client::WEBSOCKET_PRINCIPAL;
    let token = |role: &str| signed(&serde_json::json!({ "sub": role }).to_string());
    let (as_gateway, other) = (token(name), token("other"));
    assert!(judged(of_key(SECRET), &as_gateway).is_err());
    assert!(judged(of_key(SECRET), &other).is_ok());
    let certified = Offered {
        certificate: Some(tls::Subject {
            common_name: name.to_owned(),
            until_ms: u64::MAX,
        }),
        ..Offered::default()
    };
    let by_certificate = Settings {
        providers: vec![
            "org.apache.pulsar.broker.authentication.AuthenticationProviderTls".to_owned(),
        ],
        ..Settings::default()
    };
    let anonymous = Settings {
        anonymous_role: some(name),
        ..by_certificate.clone()
    };
    for (settings, offered) in [
        (by_certificate, &certified),
        (anonymous, &Offered::default()),
    ] {
        let (by, _) = Authentication::new(&settings).unwrap();
        assert!(matches!(by.check(offered, NOW_MS), Step::Done(Err(_))));
    }
}

#[test]
fn an_identity_prints_no_credential() {
    let mut by = of_key(SECRET);
    by.keep_credentials = true;
    let token = signed(r#"{"sub":"a"}"#);
    let identity = judged(by, &token).unwrap();
    assert_eq!(
        identity.credential.as_ref().map(|it| it.as_str()),
        Some(&token[..])
    );
    assert!(!format!("{identity:?}").contains(&token));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(if cfg!(miri) { 4 } else { 512 }))]
    /// No text makes it panic or lets anybody in.
    #[test]
    fn any_text_is_refused(text in "\\PC{0,60}", header in "\\PC{0,30}", claims in "\\PC{0,30}") {
        let encode = |part: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(part);
        let made = format!("{}.{}.{}", encode(&header), encode(&claims), encode(&text));
        proptest::prop_assert!(judged(of_key(SECRET), &text).is_err());
        proptest::prop_assert!(judged(of_key(SECRET), &made).is_err());
    }
}
