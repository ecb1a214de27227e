//! The claims of a token (RFC 7519 §4), read as Java's library reads them.

use serde_json::{Map, Value};

use crate::auth::Why;

pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn new(claims: Map<String, Value>) -> Claims {
        Claims(claims)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A role: the claim's text, or the first of several. None: it is not there, or none.
    pub fn role(&self, name: &str) -> Option<&str> {
        let role = match self.0.get(name)? {
            Value::String(role) => role,
            Value::Array(roles) => roles.first()?.as_str()?,
            _ => return None,
        };
        (!role.trim().is_empty()).then_some(role)
    }

    /// What the claim names beside its role, as JSON, in no order of the token's and each once.
    pub fn further_roles(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Value::Array(all)) => {
                let further = all.iter().filter(|one| Some(*one) != all.first());
                let mut further: Vec<String> = further.map(Value::to_string).collect();
                further.sort_unstable();
                further.dedup();
                further
            }
            _ => Vec::new(),
        }
    }

    /// Whether the claim, one text or several, has one of these.
    pub fn names_one_of(&self, name: &str, wanted: &[String]) -> bool {
        let is_wanted = |text: &str| wanted.iter().any(|one| one == text);
        match self.0.get(name) {
            Some(Value::String(text)) => is_wanted(text),
            Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).any(is_wanted),
            _ => false,
        }
    }

    /// Checks `exp` and `nbf` with the clocks this far apart, and gives when it ends, if it does.
    ///
    /// # Errors
    /// It is over, or not yet.
    pub fn valid_until_ms(&self, now_ms: u64, skew_ms: u64) -> Result<Option<u64>, Why> {
        if let Some(from_ms) = self.time_ms("nbf")?
            && now_ms.saturating_add(skew_ms) < from_ms
        {
            return Err("the token is not valid yet");
        }
        let Some(expires_ms) = self.time_ms("exp")? else {
            return Ok(None);
        };
        let until_ms = expires_ms.saturating_add(skew_ms);
        match now_ms > until_ms {
            true => Err("the token has expired"),
            false => Ok(Some(until_ms)),
        }
    }

    /// Checks `iat`.
    ///
    /// # Errors
    /// It has been issued in times to come.
    pub fn issued_before(&self, now_ms: u64, skew_ms: u64) -> Result<(), Why> {
        match self.time_ms("iat")? {
            Some(issued_ms) if issued_ms > now_ms.saturating_add(skew_ms) => {
                Err("the token is not valid yet")
            }
            _ => Ok(()),
        }
    }

    /// A time (RFC 7519 §2, "NumericDate") in milliseconds since 1970; like Java, whole seconds count, and a text of
    /// digits is a number too. None: the claim is not there.
    ///
    /// # Errors
    /// It is there and no time.
    fn time_ms(&self, name: &str) -> Result<Option<u64>, Why> {
        let seconds = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            // A saturating cast: before 1970 is 0, and what is beyond all clocks stays there.
            Some(Value::Number(number)) => number
                .as_u64()
                .or_else(|| number.as_f64().map(|seconds| seconds as u64)),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match seconds {
            Some(seconds) => Ok(Some(seconds.saturating_mul(1000))),
            None => Err("a time in the token is none"),
        }
    }
}
