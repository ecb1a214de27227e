//! OAuth 2.0 client credentials (RFC 6749 §4.4) as Java's `AuthenticationOAuth2` has them: the issuer's metadata name the
//! token endpoint, a key file has the client's id and secret, and a token is used until nine tenths of its time are over.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::config::{KeyPlace, OAuth2};
use crate::pulsar::client::Secret;

/// Java's `EXPIRY_ADJUSTMENT`, in tenths.
const USED_TENTHS: u64 = 9;
/// Of a token without `expires_in`. Java takes it for expired at once; one request for each connection is too much for
/// an issuer.
const LIFE_UNTOLD_MS: u64 = 60_000;
/// The longest life that is believed: a year.
const LIFE_MAX_MS: u64 = 365 * 24 * 3_600 * 1_000;
/// What is kept of an issuer's reason: it goes into the log in one line.
const REASON_CHARS_MAX: usize = 200;

/// Asks an address, and gives status and body. Some: the form that is posted.
pub type Fetch = dyn Fn(&str, Option<&str>) -> Result<(u16, Vec<u8>), String> + Send;

/// The token that is in use, and how the next one is had.
pub(super) struct Client {
    settings: OAuth2,
    endpoint: Option<String>,
    token: Option<(Secret, u64)>,
}

impl Client {
    pub fn new(settings: OAuth2) -> Client {
        Client {
            settings,
            endpoint: None,
            token: None,
        }
    }

    /// The token in use, or a new one.
    ///
    /// # Errors
    /// What did not work, without the secret.
    pub fn token(&mut self, now_ms: u64, fetch: &Fetch) -> Result<Secret, String> {
        if let Some((token, until_ms)) = &self.token
            && now_ms < *until_ms
        {
            return Ok(token.clone());
        }
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => self.find_endpoint(fetch)?,
        };
        let form = self.form()?;
        let (status, body) =
            fetch(&endpoint, Some(&form)).map_err(|why| format!("{endpoint}: {why}"))?;
        let body = Zeroizing::new(body);
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status != 200 {
            let why = reason(&answer, &form);
            return Err(format!("{endpoint}: status {status}: {why}"));
        }
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token
            .filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| format!("{endpoint}: the answer has no access_token"))?;
        let seconds = answer.get("expires_in").and_then(Value::as_u64);
        let life_ms = seconds.map_or(LIFE_UNTOLD_MS, |seconds| seconds.saturating_mul(1_000));
        let until_ms = now_ms + life_ms.min(LIFE_MAX_MS) * USED_TENTHS / 10;
        let token = Secret::from(token);
        self.token = Some((token.clone(), until_ms));
        Ok(token)
    }

    /// OpenID Connect Discovery 1.0, section 4.
    fn find_endpoint(&mut self, fetch: &Fetch) -> Result<String, String> {
        let issuer = self.settings.issuer_url.trim_end_matches('/');
        let address = format!("{issuer}/.well-known/openid-configuration");
        let (status, body) = fetch(&address, None).map_err(|why| format!("{address}: {why}"))?;
        let metadata: Value = serde_json::from_slice(&body).unwrap_or_default();
        let endpoint = metadata.get("token_endpoint").and_then(Value::as_str);
        let endpoint = endpoint
            .filter(|_| status == 200)
            .ok_or_else(|| format!("{address}: status {status}, and no token_endpoint"))?;
        // The secret goes there, and an issuer that was asked over TLS must not have it sent without.
        let is_https = |url: &str| url.starts_with("https://");
        if is_https(issuer) && !is_https(endpoint) {
            return Err(format!("{address}: its token_endpoint is not https"));
        }
        self.endpoint = Some(endpoint.to_owned());
        Ok(endpoint.to_owned())
    }

    /// The key is read for each token: it may have been replaced.
    fn form(&self) -> Result<Zeroizing<String>, String> {
        let key = match &self.settings.private_key {
            KeyPlace::File(path) => super::read_file(path)?,
            KeyPlace::Data(secret) => Zeroizing::new(secret.bytes().to_vec()),
        };
        let key: Value = serde_json::from_slice(&key)
            .map_err(|_| "privateKey: is no JSON with client_id and client_secret".to_owned())?;
        let field = |name: &str| {
            let text = key.get(name).and_then(Value::as_str);
            text.ok_or_else(|| format!("privateKey: has no {name}"))
        };
        let mut form = Zeroizing::new(String::from("grant_type=client_credentials"));
        let audience = self.settings.audience.as_deref().unwrap_or_default();
        let scope = self.settings.scope.as_deref().unwrap_or_default();
        for (name, value) in [
            ("client_id", field("client_id")?),
            ("client_secret", field("client_secret")?),
            ("audience", audience),
            ("scope", scope),
        ] {
            if !value.is_empty() {
                let value = percent_encoding::utf8_percent_encode(
                    value,
                    percent_encoding::NON_ALPHANUMERIC,
                );
                form.push_str(&format!("&{name}={value}"));
            }
        }
        Ok(form)
    }
}

/// Why the client's key cannot be read.
pub(super) fn missing(settings: &OAuth2) -> Option<String> {
    Client::new(settings.clone()).form().err()
}

/// RFC 6749 §5.2. Issuers may repeat what was posted: words with the secret in them are left out.
fn reason(answer: &Value, form: &str) -> String {
    let mut pairs = form.split('&');
    let encoded = pairs.find_map(|pair| pair.strip_prefix("client_secret="));
    let encoded = encoded.unwrap_or_default();
    let secret = Zeroizing::new(percent_encoding::percent_decode_str(encoded).collect::<Vec<u8>>());
    let secret = std::str::from_utf8(&secret).unwrap_or_default();
    let repeats =
        |text: &&str| !secret.is_empty() && (text.contains(secret) || text.contains(encoded));
    let text = |name: &str| {
        let text = answer.get(name).and_then(Value::as_str).unwrap_or_default();
        Some(text)
            .filter(|text| !repeats(text))
            .unwrap_or("(left out)")
    };
    let reason = format!("{} {}", text("error"), text("error_description"));
    reason
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const KEY: &str =
        r#"{"type":"client_credentials","client_id":"me&","client_secret":"hidden/+"}"#;

    fn client() -> Client {
        Client::new(OAuth2 {
            issuer_url: "https://issuer/realm/".to_owned(),
            private_key: KeyPlace::Data(KEY.into()),
            audience: Some("urn:pulsar".to_owned()),
            scope: None,
        })
    }

    /// An issuer that counts its tokens.
    fn issuer(
        answers: &'static [(u16, &'static str)],
    ) -> (Box<Fetch>, std::sync::Arc<Mutex<Vec<String>>>) {
        let asked = std::sync::Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let fetch = move |url: &str, form: Option<&str>| {
            let mut log = log.lock().expect("no panic");
            let posts = log
                .iter()
                .filter(|it: &&String| it.starts_with("POST"))
                .count();
            Ok(match form {
                None => {
                    log.push(format!("GET {url}"));
                    (
                        200,
                        br#"{"token_endpoint":"https://issuer/token"}"#.to_vec(),
                    )
                }
                Some(form) => {
                    log.push(format!("POST {url} {form}"));
                    let (status, body) = answers[posts.min(answers.len() - 1)];
                    (status, body.as_bytes().to_vec())
                }
            })
        };
        (Box::new(fetch), asked)
    }

    #[test]
    fn an_issuer_that_repeats_the_secret_is_not_quoted() {
        for description in ["hidden/+ is wrong", "client_secret=hidden%2F%2B"] {
            let answer =
                serde_json::json!({ "error": "invalid_client", "error_description": description });
            let form = client().form().expect("a key");
            assert_eq!(reason(&answer, &form), "invalid_client (left out)");
        }
    }

    #[test]
    fn a_token_is_used_for_nine_tenths_of_its_time() {
        let (fetch, asked) = issuer(&[
            (200, r#"{"access_token":"t1","expires_in":100}"#),
            (200, r#"{"access_token":"t2"}"#),
        ]);
        let mut client = client();
        let mut at = |ms| {
            let token = client.token(ms, &*fetch).expect("a token");
            String::from_utf8_lossy(token.bytes()).into_owned()
        };
        assert_eq!(
            [at(0), at(89_999), at(90_000), at(100_000)],
            ["t1", "t1", "t2", "t2"]
        );
        let form = "grant_type=client_credentials&client_id=me%26&client_secret=hidden%2F%2B&audience=urn%3Apulsar";
        let post = format!("POST https://issuer/token {form}");
        let get = "GET https://issuer/realm/.well-known/openid-configuration".to_owned();
        assert_eq!(*asked.lock().expect("no panic"), [get, post.clone(), post]);
    }

    #[test]
    fn an_issuer_of_https_has_the_secret_posted_over_https_alone() {
        let posted_to = |issuer: &str, endpoint: &'static str| {
            let mut client = client();
            client.settings.issuer_url = issuer.to_owned();
            let posted = std::sync::Arc::new(Mutex::new(None));
            let last = posted.clone();
            let fetch = move |url: &str, form: Option<&str>| {
                let answer = match form {
                    None => format!(r#"{{"token_endpoint":"{endpoint}"}}"#),
                    Some(_) => {
                        *last.lock().expect("no panic") = Some(url.to_owned());
                        r#"{"access_token":"t"}"#.to_owned()
                    }
                };
                Ok((200, answer.into_bytes()))
            };
            let is_had = client.token(0, &fetch).is_ok();
            (is_had, posted.lock().expect("no panic").clone())
        };
        let there = |url: &str| (true, Some(url.to_owned()));
        for downgraded in ["http://issuer/token", "HTTP://issuer/token", "/token", ""] {
            let went = posted_to("https://issuer", downgraded);
            assert_eq!(went, (false, None), "{downgraded}");
        }
        let (https, http) = ("https://issuer/token", "http://issuer/token");
        assert_eq!(posted_to("https://issuer", https), there(https));
        // Where there was no TLS none is lost.
        assert_eq!(posted_to("http://issuer", http), there(http));
        assert_eq!(posted_to("http://issuer", https), there(https));
    }

    #[test]
    fn what_an_issuer_refuses_is_said_without_the_secret() {
        for (answers, why) in [
            (
                &[(
                    401,
                    r#"{"error":"invalid_client","error_description":"no\nsuch"}"#,
                )],
                "invalid_client nosuch",
            ),
            (&[(500, "<html>")], "status 500"),
            (&[(200, r#"{"token":"t"}"#)], "no access_token"),
            (&[(200, r#"{"access_token":"a b"}"#)], "no access_token"),
        ] {
            let (fetch, _) = issuer(answers);
            let error = client().token(0, &*fetch).expect_err(why);
            assert!(error.contains(why) && !error.contains("hidden"), "{error}");
        }
    }
}
