//! The query string, as Jetty parses it for the Java gateway.

use std::fmt;

use zeroize::Zeroize;

use super::Refusal;
use super::percent;

/// Decoded parameters in their order. Of a repeated one the first counts, unknown ones are ignored by who asks.
///
/// Its size is bounded by that of the request head. May hold a token: it prints names only, and is zeroed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    /// `raw` is what follows the `?`, or nothing. Wrong escapes and bytes that are no UTF-8 are a 400, as in Jetty.
    pub fn parse(raw: &str) -> Result<Query, Refusal> {
        let decode = |text| match percent::decode(text) {
            Ok(decoded) => Ok(decoded.into_owned()),
            Err(_) => Err(Refusal::new(400, "Unable to parse URI query")),
        };
        // What has been decoded before a mistake is zeroed with it.
        let mut query = Query::default();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.parameters.push((decode(name)?, decode(value)?));
        }
        Ok(query)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The credential of clients that cannot set `Authorization`; the header wins. Never log it. Its name may be in any
    /// case of letters, as in Jetty's map for `getParameter`; those that the Java gateway reads by itself may not.
    pub fn token(&self) -> Option<&str> {
        self.get("token").or_else(|| {
            let mut parameters = self.parameters.iter();
            let (_, value) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("token"))?;
            Some(value)
        })
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        let values = self.parameters.iter_mut();
        values.for_each(|(_, value)| value.zeroize());
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.parameters.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_name_in_any_letters_and_other_parameters_are_not() {
        let query = |raw| Query::parse(raw).expect("it parses");
        for (raw, token) in [
            ("token=a", Some("a")),
            ("a=b&Token=c", Some("c")),
            ("TOKEN=a&token=b", Some("b")),
            ("tokens=a", None),
        ] {
            assert_eq!(query(raw).token(), token, "{raw}");
        }
        assert_eq!(query("RECEIVERQUEUESIZE=1").get("receiverQueueSize"), None);
    }
}
