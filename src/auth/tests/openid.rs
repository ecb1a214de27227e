//! Tokens of issuers: keys are fetched, kept, fetched anew; and what is refused whatever keys there are.

use super::at;
use super::vectors::{IDENTITY_TOKENS, KEY_SET};
use crate::auth::{
    Authentication, Desk, Identity, Lane, Now, Offered, OpenIdSettings, Question, Settings, Step,
    Unidentified,
};

const ISSUER: &str = "https://issuer.example";
const DESCRIPTION_AT: &str = "https://issuer.example/.well-known/openid-configuration";
const KEYS_AT: &str = "https://issuer.example/keys";
const DESCRIPTION: &str =
    r#"{"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/keys"}"#;

const NOW_MS: u64 = 1_500_000;

fn authentication(change: impl FnOnce(&mut OpenIdSettings)) -> Authentication {
    let mut open_id = OpenIdSettings {
        allowed_token_issuers: Some(ISSUER.to_owned()),
        allowed_audiences: Some("pulsar, other".to_owned()),
        ..OpenIdSettings::default()
    };
    change(&mut open_id);
    let settings = Settings {
        providers: vec![
            "org.apache.pulsar.broker.authentication.oidc.AuthenticationProviderOpenID".to_owned(),
        ],
        open_id,
        ..Settings::default()
    };
    Authentication::new(&settings).unwrap().0
}

fn desk(change: impl FnOnce(&mut OpenIdSettings)) -> Desk<u32> {
    Desk::new(authentication(change).into())
}

fn token(name: &str) -> &'static str {
    let found = IDENTITY_TOKENS.iter().find(|(known, _)| *known == name);
    found.unwrap().1
}

type Answer = Result<Identity, Unidentified>;

fn ask(desk: &mut Desk<u32>, who: u32, name: &str, now_ms: u64) -> Option<Answer> {
    ask_on(desk, Lane::Handshake, who, name, now_ms)
}

fn ask_on(desk: &mut Desk<u32>, lane: Lane, who: u32, name: &str, now_ms: u64) -> Option<Answer> {
    let offered = Offered::new_token(None, token(name));
    let answer = desk.ask(Question { who, offered, lane }, at(now_ms));
    answer.map(|(answered, result)| {
        assert_eq!(answered, who);
        result
    })
}

/// With the issuer's documents.
fn ready(desk: &mut Desk<u32>, now_ms: u64) {
    assert!(ask(desk, 0, "rsa", now_ms).is_none());
    assert_eq!(desk.take_wanted(), [DESCRIPTION_AT]);
    assert!(
        desk.fetched(DESCRIPTION_AT, Some(DESCRIPTION.as_bytes()), at(now_ms))
            .is_empty()
    );
    assert_eq!(desk.take_wanted(), [KEYS_AT]);
    let answers = desk.fetched(KEYS_AT, Some(KEY_SET.as_bytes()), at(now_ms));
    assert!(answers[0].1.is_ok());
    assert!(desk.take_wanted().is_empty());
}

#[test]
fn documents_are_fetched_once_and_answer_all_who_wait() {
    let mut desk = desk(|_| {});
    for who in 0..3 {
        assert!(ask(&mut desk, who, "p256", NOW_MS).is_none());
    }
    assert_eq!(desk.take_wanted(), [DESCRIPTION_AT]);
    assert!(
        desk.fetched(DESCRIPTION_AT, Some(DESCRIPTION.as_bytes()), at(NOW_MS))
            .is_empty()
    );
    assert_eq!(desk.take_wanted(), [KEYS_AT]);
    let answers = desk.fetched(KEYS_AT, Some(KEY_SET.as_bytes()), at(NOW_MS));
    let who: Vec<_> = answers.iter().map(|(who, _)| *who).collect();
    assert_eq!(who, [0, 1, 2]);
    for (_, result) in answers {
        let identity = result.unwrap();
        assert_eq!(
            (&*identity.role, identity.expires_ms),
            ("user", Some(2_000_000))
        );
    }
}

#[test]
fn keys_of_every_kind_verify_their_tokens() {
    let mut desk = desk(|_| {});
    ready(&mut desk, NOW_MS);
    for name in ["rsa", "p256", "p384", "p521", "ed"] {
        assert!(ask(&mut desk, 1, name, NOW_MS).unwrap().is_ok(), "{name}");
    }
}

#[test]
fn a_token_that_is_not_right_is_refused_whatever_keys_there_are() {
    let mut desk = desk(|_| {});
    ready(&mut desk, NOW_MS);
    let good = ["rsa", "p256", "p384", "p521", "ed"];
    for (name, _) in IDENTITY_TOKENS
        .iter()
        .filter(|(name, _)| !good.contains(name))
    {
        assert!(ask(&mut desk, 1, name, NOW_MS).unwrap().is_err(), "{name}");
    }
    assert!(ask(&mut desk, 1, "rsa", 2_000_001).unwrap().is_err());
    assert!(ask(&mut desk, 1, "rsa", 999_999).unwrap().is_err());
    assert!(desk.take_wanted().is_empty());
}

#[test]
fn a_shard_itself_refuses_what_no_allowed_issuer_claims_to_have_made() {
    let by = authentication(|_| {});
    for name in ["other issuer", "no issuer"] {
        let step = by.check(&Offered::new_token(None, token(name)), NOW_MS);
        assert!(matches!(step, Step::Done(Err(_))), "{name}");
    }
    let step = by.check(&Offered::new_token(None, token("rsa")), NOW_MS);
    assert!(matches!(step, Step::Slow));
}

#[test]
fn a_key_that_is_not_there_is_looked_for_again_but_not_all_the_time() {
    let mut desk = desk(|_| {});
    ready(&mut desk, NOW_MS);
    let later_ms = NOW_MS + 5 * 60 * 1000 + 1;
    assert!(
        ask(&mut desk, 1, "unknown key", later_ms - 1)
            .unwrap()
            .is_err()
    );
    assert!(ask(&mut desk, 1, "unknown key", later_ms).is_none());
    assert_eq!(desk.take_wanted(), [KEYS_AT]);
    let rotated = KEY_SET.replace(r#""kid": "rsa""#, r#""kid": "new""#);
    let answers = desk.fetched(KEYS_AT, Some(rotated.as_bytes()), at(later_ms));
    assert!(answers[0].1.is_ok());
    // The old one has gone, and is not looked for so soon.
    assert!(ask(&mut desk, 1, "rsa", later_ms).unwrap().is_err());
    assert!(desk.take_wanted().is_empty());
}

/// Without a pause between two looks for a key, and with keys that take longer than they are kept, a question asked for
/// documents for ever.
#[test]
fn no_question_asks_for_documents_for_ever() {
    let mut without_pause = desk(|settings| {
        settings.key_id_cache_miss_refresh_seconds = Some("0".to_owned());
    });
    ready(&mut without_pause, NOW_MS);
    assert!(ask(&mut without_pause, 1, "unknown key", NOW_MS + 1).is_none());
    assert_eq!(without_pause.take_wanted(), [KEYS_AT]);
    let answers = without_pause.fetched(KEYS_AT, Some(KEY_SET.as_bytes()), at(NOW_MS + 2_000));
    assert!(answers[0].1.is_err());
    assert!(without_pause.take_wanted().is_empty());

    let mut kept_briefly = desk(|settings| {
        settings.cache_expiration_seconds = Some("1".to_owned());
    });
    let mut now_ms = NOW_MS;
    assert!(ask(&mut kept_briefly, 1, "rsa", now_ms).is_none());
    for fetched in 1..=3 {
        let wanted = kept_briefly.take_wanted();
        now_ms += 1_001;
        let answers = wanted.iter().flat_map(|address| {
            let document = if address == KEYS_AT {
                KEY_SET
            } else {
                DESCRIPTION
            };
            kept_briefly.fetched(address, Some(document.as_bytes()), at(now_ms))
        });
        let answered = answers.collect::<Vec<_>>();
        assert_eq!(answered.len(), usize::from(fetched == 3));
        assert!(answered.iter().all(|(_, result)| result.is_err()));
    }
}

#[test]
fn old_documents_are_fetched_anew_while_they_are_used_and_not_used_when_too_old() {
    let mut desk = desk(|settings| {
        settings.cache_refresh_after_write_seconds = Some("100".to_owned());
        settings.cache_expiration_seconds = Some("200".to_owned());
    });
    ready(&mut desk, NOW_MS);
    let old_ms = NOW_MS + 100_001;
    assert!(ask(&mut desk, 1, "rsa", old_ms).unwrap().is_ok());
    assert_eq!(desk.take_wanted(), [DESCRIPTION_AT, KEYS_AT]);
    assert!(desk.fetched(KEYS_AT, None, at(old_ms)).is_empty());
    assert!(ask(&mut desk, 1, "rsa", old_ms + 1).unwrap().is_ok());
    let too_old_ms = NOW_MS + 200_001;
    assert!(
        desk.fetched(DESCRIPTION_AT, Some(DESCRIPTION.as_bytes()), at(old_ms))
            .is_empty()
    );
    assert!(ask(&mut desk, 1, "rsa", too_old_ms).is_none());
    assert_eq!(desk.take_wanted(), [KEYS_AT]);
}

#[test]
fn an_issuer_that_does_not_answer_is_left_alone_for_a_while() {
    let mut desk = desk(|_| {});
    assert!(ask(&mut desk, 1, "rsa", NOW_MS).is_none());
    assert_eq!(desk.take_wanted(), [DESCRIPTION_AT]);
    let answers = desk.fetched(DESCRIPTION_AT, None, at(NOW_MS));
    assert!(answers[0].1.is_err());
    assert!(ask(&mut desk, 2, "rsa", NOW_MS + 4_999).unwrap().is_err());
    assert!(desk.take_wanted().is_empty());
    assert!(ask(&mut desk, 2, "rsa", NOW_MS + 5_000).is_none());
    assert_eq!(desk.take_wanted(), [DESCRIPTION_AT]);
}

/// With documents as old as the wall clock says, an issuer that had failed was left alone, and keys did not grow old, until
/// a clock that was set back had come to where it was.
#[test]
fn a_wall_clock_that_is_set_back_changes_nothing_about_issuers() {
    let set_back = |mono_ms| Now {
        mono_ms,
        wall_ms: NOW_MS - 100_000,
    };
    let ask = |desk: &mut Desk<u32>, now: Now| {
        let question = Question {
            who: 1,
            offered: Offered::new_token(None, token("rsa")),
            lane: Lane::Handshake,
        };
        desk.ask(question, now).map(|(_, result)| result.is_ok())
    };
    let mut failed = desk(|_| {});
    assert_eq!(ask(&mut failed, at(NOW_MS)), None);
    assert_eq!(failed.take_wanted(), [DESCRIPTION_AT]);
    failed.fetched(DESCRIPTION_AT, None, at(NOW_MS));
    assert_eq!(ask(&mut failed, set_back(NOW_MS + 5_000)), None);
    assert_eq!(failed.take_wanted(), [DESCRIPTION_AT]);

    let mut known = desk(|settings| {
        settings.cache_expiration_seconds = Some("200".to_owned());
    });
    ready(&mut known, NOW_MS);
    assert_eq!(ask(&mut known, set_back(NOW_MS + 200_000)), Some(true));
    known.take_wanted();
    assert_eq!(ask(&mut known, set_back(NOW_MS + 200_001)), None);
}

#[test]
fn a_description_must_be_the_issuers_own() {
    for description in [
        "",
        "[]",
        r#"{"issuer":"https://issuer.example"}"#,
        r#"{"issuer":"https://issuer.example/","jwks_uri":"https://issuer.example/keys"}"#,
        r#"{"issuer":"https://evil.example","jwks_uri":"https://issuer.example/keys"}"#,
        r#"{"issuer":"https://issuer.example","jwks_uri":"http://issuer.example/keys"}"#,
        r#"{"issuer":"https://issuer.example","jwks_uri":"file:///etc/passwd"}"#,
    ] {
        let mut desk = desk(|_| {});
        assert!(ask(&mut desk, 1, "rsa", NOW_MS).is_none());
        let answers = desk.fetched(DESCRIPTION_AT, Some(description.as_bytes()), at(NOW_MS));
        assert!(answers[0].1.is_err(), "{description}");
    }
    for keys in ["", "{}", r#"{"keys":5}"#, r#"{"keys":[5,{}]}"#] {
        let mut desk = desk(|_| {});
        assert!(ask(&mut desk, 1, "rsa", NOW_MS).is_none());
        desk.fetched(DESCRIPTION_AT, Some(DESCRIPTION.as_bytes()), at(NOW_MS));
        let answers = desk.fetched(KEYS_AT, Some(keys.as_bytes()), at(NOW_MS));
        assert!(answers[0].1.is_err(), "{keys}");
    }
}

#[test]
fn the_role_may_be_in_another_claim() {
    let mut desk = desk(|settings| settings.role_claim = Some("roles".to_owned()));
    ready(&mut desk, NOW_MS);
    let identity = ask(&mut desk, 1, "rsa", NOW_MS).unwrap().unwrap();
    assert_eq!(&*identity.role, "r1");
}

#[test]
fn no_more_wait_for_an_issuer_than_there_is_room_for() {
    let mut desk = desk(|settings| {
        settings.allowed_token_issuers = Some(format!("{ISSUER},https://other.example"));
    });
    let waiting = (0..2000).filter(|who| ask(&mut desk, *who, "rsa", NOW_MS).is_none());
    assert_eq!(waiting.count(), 1024);
    // And they take no room from those of others, nor from who is let in already.
    assert!(ask(&mut desk, 2000, "other issuer", NOW_MS).is_none());
    let mut renew = |who| ask_on(&mut desk, Lane::Renewal, who, "rsa", NOW_MS);
    for who in 3000..4024 {
        assert!(renew(who).is_none());
    }
    let unknown = Err(Unidentified::Unknown("too many wait for an issuer's keys"));
    assert_eq!(renew(4024).unwrap().map(drop), unknown);
}

#[test]
fn what_an_issuer_does_not_tell_is_unknown_of_a_new_token_and_bad_of_a_strangers() {
    let mut desk = desk(|_| {});
    assert!(ask(&mut desk, 1, "rsa", NOW_MS).is_none());
    assert!(ask_on(&mut desk, Lane::Renewal, 2, "rsa", NOW_MS).is_none());
    let answers = desk.fetched(DESCRIPTION_AT, None, at(NOW_MS));
    let why = "the issuer's description cannot be had";
    let answers: Vec<_> = answers
        .into_iter()
        .map(|(who, it)| (who, it.map(drop)))
        .collect();
    let refused = Err(Unidentified::Refused(why));
    let unknown = Err(Unidentified::Unknown(why));
    assert_eq!(answers, [(1, refused), (2, unknown)]);
    // What is bad whatever the issuer says is bad.
    let bad = ask_on(&mut desk, Lane::Renewal, 3, "no issuer", NOW_MS);
    assert!(matches!(bad, Some(Err(Unidentified::Refused(_)))));
}
