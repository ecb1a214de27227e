//! The settings of the providers: what each form of a key means, and what stops the start.

use super::vectors::{P256, RSA, SECRET, TOKENS};
use crate::auth::{
    Authentication, Desk, Lane, Offered, OpenIdSettings, Question, Settings, Step, TokenSettings,
};

const PACKAGE: &str = "org.apache.pulsar.broker.authentication.";

fn some(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

fn named(providers: &[&str]) -> Settings {
    Settings {
        providers: providers
            .iter()
            .map(|it| format!("{PACKAGE}{it}"))
            .collect(),
        ..Settings::default()
    }
}

fn with_secret(place: String) -> Settings {
    Settings {
        token: TokenSettings {
            secret_key: Some(place),
            ..TokenSettings::default()
        },
        ..named(&["AuthenticationProviderToken"])
    }
}

fn faults(settings: &Settings) -> Vec<(&'static str, String)> {
    Authentication::new(settings).unwrap_err()
}

#[test]
#[cfg_attr(miri, ignore = "writes a file")]
fn a_key_may_stand_in_every_form_that_java_reads() {
    let bytes = base64_simd::STANDARD.decode_to_vec(SECRET).unwrap();
    let folder = std::env::temp_dir().join(format!("pws-fast-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("my secret.key");
    std::fs::write(&path, &bytes).unwrap();
    let path = path.display().to_string();
    let escaped = path.replace(' ', "%20");
    let unpadded = SECRET.trim_end_matches('=');
    let (_, _, _, token) = TOKENS.iter().find(|row| row.0 == "HS512").unwrap();
    for place in [
        SECRET.to_owned(),
        unpadded.to_owned(),
        format!("data:;base64,{SECRET}"),
        format!("data:application/octet-stream;base64,{SECRET}"),
        format!(
            "data:;base64,{}",
            SECRET.replace('+', "%2B").replace('/', "%2F")
        ),
        path.clone(),
        format!("file://{escaped}"),
        format!("file:{escaped}"),
        format!("file://localhost{escaped}"),
    ] {
        let (by, _) = Authentication::new(&with_secret(place.clone())).unwrap();
        let step = by.check(&Offered::new_token(None, token), 0);
        assert!(matches!(step, Step::Done(Ok(_))), "{place}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// Of 1,024 bits, which are too few to verify with.
const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC346hseF92EKojmgprCDizCvt+kF1AHJCpCXdE7hylYSVF3DjEK6fI7esKP0JZ4CW7TNgfYJeA+XL/O9jq8BPNvgfg9L3cCZU1isr2jJgOxBVYFcVC1zC+BJ16gdEOZ3mD9afUWnqKPAjO6Laka5pBg0shhK9zVEeAeGV4FQg7/QIDAQAB";

#[test]
fn a_key_that_cannot_be_used_stops_the_start_and_is_not_shown() {
    for place in [
        "data:;base64,c2VjcmV0",
        "data:,secret",
        "data:nothing",
        "file:///no/such/file",
        "/no/such/file!",
        "c2VjcmV0",
        "data:;base64,!!!!",
    ] {
        let faults = faults(&with_secret(place.to_owned()));
        assert_eq!(faults[0].0, "tokenSecretKey");
        assert!(
            !faults[0].1.contains("c2VjcmV0") && !faults[0].1.contains("secret,"),
            "{faults:?}"
        );
    }
    let public = |key: &str, algorithm: Option<&str>| {
        let token = TokenSettings {
            public_key: some(key),
            public_alg: algorithm.map(str::to_owned),
            ..TokenSettings::default()
        };
        let settings = Settings {
            token,
            ..named(&["AuthenticationProviderToken"])
        };
        Authentication::new(&settings)
            .map(drop)
            .map_err(|faults| faults[0].0)
    };
    assert_eq!(public(RSA, None), Ok(()));
    assert_eq!(public(RSA, Some("PS512")), Ok(()));
    assert_eq!(public(P256, Some("ES256")), Ok(()));
    assert_eq!(public(P256, None), Err("tokenPublicKey"));
    assert_eq!(public(RSA, Some("ES256")), Err("tokenPublicKey"));
    assert_eq!(public(SECRET, None), Err("tokenPublicKey"));
    assert_eq!(public(RSA_1024, None), Err("tokenPublicKey"));
    assert_eq!(
        public("data:,-----BEGIN PUBLIC KEY-----", None),
        Err("tokenPublicKey")
    );
    for none in ["HS256", "none", "RS1"] {
        assert_eq!(public(RSA, Some(none)), Err("tokenPublicAlg"));
    }
}

#[test]
#[cfg_attr(miri, ignore = "looks for a file")]
fn the_path_of_a_file_that_is_not_there_is_no_key() {
    // Its characters are all of base64's alphabet, and it is as long as a key.
    let path = "/run/secrets/pulsar/websocket/gateway/tokenSecretKey";
    let faults = faults(&with_secret(path.to_owned()));
    assert_eq!(faults[0].0, "tokenSecretKey");
    assert!(faults[0].1.contains("cannot be read"), "{faults:?}");
    assert!(!faults[0].1.contains(path), "{faults:?}");
    assert!(
        faults[0].1.contains("base64 that begins with /"),
        "{faults:?}"
    );
    for path in [
        "/nofile",
        "/etc/pws-fast/a-key-that-nobody-has-put-there.key",
    ] {
        let faults = self::faults(&with_secret(path.to_owned()));
        assert!(faults[0].1.contains("cannot be read"), "{faults:?}");
        assert!(!faults[0].1.contains("base64"), "{faults:?}");
    }
    let inline = format!("data:;base64,{path}");
    assert!(Authentication::new(&with_secret(inline)).is_ok());
}

#[test]
fn a_provider_that_cannot_be_had_is_named_with_what_to_use() {
    for name in [
        "AuthenticationProviderSasl",
        "AuthenticationProviderAthenz",
        "com.example.Mine",
        "authenticationprovidertoken",
    ] {
        let faults = faults(&named(&[name]));
        assert_eq!(faults[0].0, "authenticationProviders");
        assert!(faults[0].1.contains(name) && faults[0].1.contains("ProviderToken"));
    }
    let all = faults(&named(&[
        "AuthenticationProviderToken",
        "AuthenticationProviderBasic",
        "oidc.AuthenticationProviderOpenID",
    ]));
    let keys: Vec<_> = all.iter().map(|fault| fault.0).collect();
    assert_eq!(
        keys,
        [
            "tokenSecretKey",
            "basicAuthConf",
            "openIDAllowedTokenIssuers"
        ]
    );
}

#[test]
fn without_a_provider_everybody_comes_in_and_the_operator_is_told() {
    let (by, notes) = Authentication::new(&Settings::default()).unwrap();
    assert_eq!(notes.len(), 1);
    let step = by.check(&Offered::default(), 0);
    assert!(matches!(step, Step::Done(Ok(identity)) if &*identity.role == "<none>"));
    // A method that nobody judges is refused all the same.
    let offered = Offered::new_token(some("token"), "x");
    assert!(matches!(by.check(&offered, 0), Step::Done(Err(_))));
}

#[test]
fn who_cannot_say_who_it_is_gets_the_anonymous_role() {
    let settings = Settings {
        anonymous_role: some("anybody"),
        ..with_secret(SECRET.to_owned())
    };
    let (by, _) = Authentication::new(&settings).unwrap();
    for offered in [
        Offered::default(),
        Offered::new_token(None, "bad"),
        Offered::new_token(some("token"), "bad"),
    ] {
        let step = by.check(&offered, 0);
        assert!(matches!(step, Step::Done(Ok(identity)) if &*identity.role == "anybody"));
    }
    let offered = Offered::new_token(some("basic"), "bad");
    assert!(matches!(by.check(&offered, 0), Step::Done(Err(_))));
}

#[test]
fn passwords_are_judged_by_hashes_of_every_kind() {
    let users = "crypt:abJnggxhB/yWI\napr1:$apr1$abcdefgh$FBwExRW4dCc8aL.OvjpIE1\r\n\
                 sha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n\n\
                 bcrypt:$2y$04$3RyqFWE.7Ju5WlZQ3v.6Tu1kXuvGWTc.uRWE1XHlNlsON1E1O0LF2\n";
    let settings = |users: &str| Settings {
        basic_auth_conf: some(format!(
            "data:;base64,{}",
            base64_simd::STANDARD.encode_to_string(users)
        )),
        ..named(&["AuthenticationProviderBasic"])
    };
    let (by, _) = Authentication::new(&settings(users)).unwrap();
    let mut desk = Desk::new(by.into());
    let mut ask = |pair: &str| {
        let offered = Offered {
            basic: Some(pair.to_owned().into()),
            ..Offered::default()
        };
        let question = Question {
            who: (),
            offered,
            lane: Lane::Handshake,
        };
        let answer = desk.ask(question, super::at(0));
        answer.unwrap().1.ok().map(|it| it.role.to_string())
    };
    for user in ["crypt", "apr1", "sha", "bcrypt"] {
        for _ in 0..2 {
            assert_eq!(ask(&format!("{user}:password")), some(user));
            assert_eq!(ask(&format!("{user}:passwore")), None);
        }
    }
    for nobody in [
        "x:password",
        ":password",
        "crypt:",
        "crypt",
        "",
        "sha:password:x",
    ] {
        assert_eq!(ask(nobody), None, "{nobody}");
    }
    for bad in [
        "a",
        "a:plain",
        ":abJnggxhB/yWI",
        "a:$2y$04$x",
        "a:{SHA}eA==",
        "a:b:c",
    ] {
        let faults = faults(&settings(&format!("ok:abJnggxhB/yWI\n{bad}")));
        assert!(faults[0].1.contains("line 2"), "{faults:?}");
    }
}

#[test]
fn a_password_that_has_been_right_is_known_on_shards() {
    let settings = Settings {
        basic_auth_conf: some("data:,sha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="),
        ..named(&["AuthenticationProviderBasic"])
    };
    let by = std::sync::Arc::new(Authentication::new(&settings).unwrap().0);
    let mut desk = Desk::new(by.clone());
    let offered = |pair: &str| Offered {
        basic: some(pair).map(Into::into),
        ..Offered::default()
    };
    let is_known = |pair| matches!(by.check(&offered(pair), 0), Step::Done(Ok(_)));
    assert!(!is_known("sha:password"));
    let mut ask = |pair| {
        let question = Question {
            who: (),
            offered: offered(pair),
            lane: Lane::Handshake,
        };
        desk.ask(question, super::at(0)).unwrap().1.is_ok()
    };
    assert!(!ask("sha:guess") && !is_known("sha:guess"));
    assert!(ask("sha:password") && is_known("sha:password"));
    for other in ["sha:guess", "sha:", "sha", "other:password", ":password"] {
        assert!(!is_known(other), "{other}");
    }
}

#[test]
fn an_issuer_must_be_known_by_https_unless_that_is_waived() {
    let settings = |issuers: &str, https: Option<&str>, mode: Option<&str>| Settings {
        open_id: OpenIdSettings {
            allowed_token_issuers: some(issuers),
            allowed_audiences: some("pulsar"),
            require_issuers_use_https: https.map(str::to_owned),
            fallback_discovery_mode: mode.map(str::to_owned),
            ..OpenIdSettings::default()
        },
        ..named(&["oidc.AuthenticationProviderOpenID"])
    };
    let fault = |settings: Settings| Authentication::new(&settings).err().map(|it| it[0].0);
    assert_eq!(
        fault(settings("https://a, https://b", None, Some("DISABLED"))),
        None
    );
    assert_eq!(
        fault(settings("http://a", None, None)),
        Some("openIDAllowedTokenIssuers")
    );
    assert_eq!(fault(settings("http://a", Some("false"), None)), None);
    assert_eq!(
        fault(settings("a", Some("false"), None)),
        Some("openIDAllowedTokenIssuers")
    );
    assert_eq!(
        fault(settings("https://a", Some("flase"), None)),
        Some("openIDRequireIssuersUseHttps")
    );
    let kubernetes = Some("KUBERNETES_DISCOVER_PUBLIC_KEYS");
    assert_eq!(
        fault(settings("https://a", None, kubernetes)),
        Some("openIDFallbackDiscoveryMode")
    );
}
