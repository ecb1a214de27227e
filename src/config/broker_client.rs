//! How this gateway shows itself to the brokers, and how it knows that they are the brokers: the settings of Java's
//! client, checked. Files are read by the room `credentials`, when they are needed.

use std::path::PathBuf;

use serde_json::Value;
use zeroize::Zeroizing;

use super::{BrokerTls, OwnCertificate, Password, values};
use crate::pulsar::client::Secret;

/// Towards brokers and their web services.
#[derive(Clone, Debug, Default)]
pub struct BrokerClient {
    pub proof: Proof,
    pub tls: BrokerTls,
}

/// By what the gateway proves who it is (`brokerClientAuthenticationPlugin`).
#[derive(Clone, Debug, Default)]
pub enum Proof {
    #[default]
    None,
    Token(Secret),
    /// Read each time: tokens are renewed by replacing the file.
    TokenFile(PathBuf),
    /// `user:password`.
    Basic(Secret),
    /// The certificate of [`BrokerTls::identity`].
    Certificate,
    /// Tokens of an issuer.
    OAuth2(OAuth2),
}

/// OAuth 2.0 client credentials: the parameters of Java's plugin.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    pub issuer_url: String,
    /// A JSON object with `client_id` and `client_secret`.
    pub private_key: KeyPlace,
    pub audience: Option<String>,
    pub scope: Option<String>,
}

#[derive(Clone, Debug)]
pub enum KeyPlace {
    File(PathBuf),
    Data(Secret),
}

const JAVA_PACKAGE: &str = "org.apache.pulsar.client.impl.auth.";

/// Reads a plugin's name and its parameters, which may be secret: no error repeats anything of them. Gives the files of
/// a certificate beside the proof, where the plugin has some.
///
/// # Errors
/// What is wrong, completing the sentence "brokerClientAuthenticationPlugin …".
pub(super) fn proof(
    plugin: &str,
    parameters: Option<&str>,
) -> Result<(Proof, Option<OwnCertificate>), String> {
    let name = plugin.strip_prefix(JAVA_PACKAGE).unwrap_or(plugin);
    let lacks = || "wants brokerClientAuthenticationParameters beside it".to_owned();
    match name {
        "AuthenticationDisabled" => Ok((Proof::None, None)),
        "AuthenticationToken" => Ok((token(parameters.ok_or_else(lacks)?)?, None)),
        "AuthenticationBasic" => Ok((basic(parameters.ok_or_else(lacks)?)?, None)),
        "AuthenticationTls" => {
            let files = certificate(parameters.ok_or_else(lacks)?)?;
            Ok((Proof::Certificate, Some(files)))
        }
        "AuthenticationKeyStoreTls" => {
            let store = key_store(parameters.ok_or_else(lacks)?)?;
            Ok((Proof::Certificate, Some(store)))
        }
        "oauth2.AuthenticationOAuth2" => {
            let settings = oauth2(parameters.ok_or_else(lacks)?)?;
            Ok((Proof::OAuth2(settings), None))
        }
        _ => Err(format!(
            "names {}, which cannot be loaded: use {JAVA_PACKAGE}AuthenticationToken, AuthenticationTls, \
             AuthenticationKeyStoreTls, AuthenticationBasic or oauth2.AuthenticationOAuth2 of the same package",
            values::java_class(plugin)
        )),
    }
}

/// As Java reads it: `token:…`, `file:///path`, a JSON object with `token`, or the token itself. `env:NAME` is the
/// command-line tools'.
fn token(parameters: &str) -> Result<Proof, String> {
    let text = parameters.trim();
    if let Some(place) = text.strip_prefix("file:") {
        return file_of(place).map(Proof::TokenFile);
    }
    let variable;
    let token = if let Some(token) = text.strip_prefix("token:") {
        token
    } else if let Some(name) = text.strip_prefix("env:") {
        variable = std::env::var(name)
            .map_err(|_| "has parameters that name an environment variable which is not set")?;
        variable.trim()
    } else if text.starts_with('{') {
        variable = text_of(&object(text)?, "token")?;
        &variable
    } else {
        text
    };
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Proof::Token(token.into())),
        false => {
            Err("has parameters whose token is empty, or has characters that no token has".into())
        }
    }
}

fn basic(parameters: &str) -> Result<Proof, String> {
    let fields = object(parameters)?;
    let (user, password) = (text_of(&fields, "userId")?, text_of(&fields, "password")?);
    match user.contains(':') {
        true => Err("has parameters whose userId has a colon, which would end it".into()),
        false => Ok(Proof::Basic(Secret::new(
            format!("{user}:{password}").into_bytes(),
        ))),
    }
}

/// `tlsCertFile:/path,tlsKeyFile:/path`, or the same as JSON.
fn certificate(parameters: &str) -> Result<OwnCertificate, String> {
    Ok(OwnCertificate::Pem {
        certificate: field(parameters, "tlsCertFile")?.into(),
        key: field(parameters, "tlsKeyFile")?.into(),
    })
}

/// `keyStoreType:PKCS12,keyStorePath:/path,keyStorePassword:…`, or the same as JSON. What a store is, its first bytes tell.
fn key_store(parameters: &str) -> Result<OwnCertificate, String> {
    let path = field(parameters, "keyStorePath")?.into();
    let password = Zeroizing::new(field(parameters, "keyStorePassword")?);
    Ok(OwnCertificate::Store(
        path,
        Password::from(password.as_str()),
    ))
}

/// One of `name:value,…` (values have no comma then), or of a JSON object.
fn field(parameters: &str, name: &str) -> Result<String, String> {
    let text = parameters.trim();
    if text.starts_with('{') {
        return text_of(&object(text)?, name);
    }
    let mut parts = text.split(',').filter_map(|part| part.split_once(':'));
    let found = parts.find(|(key, _)| key.trim() == name);
    let value = found.map(|(_, value)| value.trim().to_owned());
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| format!("has parameters without {name}"))
}

fn oauth2(parameters: &str) -> Result<OAuth2, String> {
    let fields = object(parameters)?;
    let optional = |name: &str| text_of(&fields, name).ok();
    if optional("type").is_some_and(|kind| kind != "client_credentials") {
        return Err("has parameters with another type than client_credentials".into());
    }
    let issuer_url = text_of(&fields, "issuerUrl")?;
    if !issuer_url.starts_with("https://") && !issuer_url.starts_with("http://") {
        return Err("has parameters whose issuerUrl is no https:// URL".into());
    }
    let place = text_of(&fields, "privateKey")?;
    let private_key = if let Some(place) = place.strip_prefix("file:") {
        KeyPlace::File(file_of(place)?)
    } else if let Some(data) = place.strip_prefix("data:application/json;base64,") {
        let data = base64_simd::STANDARD.decode_to_vec(data);
        KeyPlace::Data(Secret::new(
            data.map_err(|_| "has parameters whose privateKey is bad base64")?,
        ))
    } else {
        return Err(
            "has parameters whose privateKey is neither file:///path nor data:application/json;base64,…".into(),
        );
    };
    Ok(OAuth2 {
        issuer_url,
        private_key,
        audience: optional("audience"),
        scope: optional("scope"),
    })
}

fn object(text: &str) -> Result<Value, String> {
    let value = serde_json::from_str(text).ok();
    value
        .filter(Value::is_object)
        .ok_or_else(|| "has parameters that are no JSON object".to_owned())
}

fn text_of(fields: &Value, name: &str) -> Result<String, String> {
    let text = fields.get(name).and_then(Value::as_str);
    let text = text.filter(|text| !text.is_empty()).map(str::to_owned);
    text.ok_or_else(|| format!("has parameters without {name}"))
}

/// What follows `file:`: `///path`, `//localhost/path` or a path.
fn file_of(place: &str) -> Result<PathBuf, String> {
    let path = match place.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or("", |root| &rest[root..]),
        None => place,
    };
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
    match decoded {
        Ok(path) if !path.is_empty() => Ok(PathBuf::from(&*path)),
        _ => Err("has parameters that name no file: file:///path is meant".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(plugin: &str, parameters: &str) -> Result<String, String> {
        let plugin = format!("{JAVA_PACKAGE}{plugin}");
        let (proof, files) = super::proof(&plugin, Some(parameters))?;
        Ok(match (proof, files) {
            (Proof::Token(secret) | Proof::Basic(secret), None) => {
                String::from_utf8_lossy(secret.bytes()).into_owned()
            }
            (Proof::OAuth2(oauth2), None) => match oauth2.private_key {
                KeyPlace::File(path) => format!("{} {}", oauth2.issuer_url, path.display()),
                KeyPlace::Data(key) => String::from_utf8_lossy(key.bytes()).into_owned(),
            },
            (Proof::TokenFile(path), None) => path.display().to_string(),
            (Proof::Certificate, Some(OwnCertificate::Pem { certificate, key })) => {
                format!("{} {}", certificate.display(), key.display())
            }
            (Proof::Certificate, Some(OwnCertificate::Store(path, password))) => {
                format!("{} {}", path.display(), password.reveal())
            }
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn parameters_are_read_as_java_reads_them() {
        for (plugin, parameters, is) in [
            ("AuthenticationToken", "token:a.b.c", "a.b.c"),
            ("AuthenticationToken", "a.b.c", "a.b.c"),
            ("AuthenticationToken", r#"{"token":"a.b.c"}"#, "a.b.c"),
            (
                "AuthenticationToken",
                "file:///run/a%20token",
                "/run/a token",
            ),
            ("AuthenticationToken", "file:/run/token", "/run/token"),
            (
                "AuthenticationBasic",
                r#"{"userId":"u","password":"p:w"}"#,
                "u:p:w",
            ),
            (
                "oauth2.AuthenticationOAuth2",
                r#"{"issuerUrl":"https://i","privateKey":"file:///k.json","audience":"a"}"#,
                "https://i /k.json",
            ),
            (
                "oauth2.AuthenticationOAuth2",
                r#"{"issuerUrl":"https://i","privateKey":"data:application/json;base64,e30="}"#,
                "{}",
            ),
            (
                "AuthenticationTls",
                "tlsCertFile:/c.pem,tlsKeyFile:/k.pem",
                "/c.pem /k.pem",
            ),
            (
                "AuthenticationTls",
                r#"{"tlsCertFile":"/c","tlsKeyFile":"/k"}"#,
                "/c /k",
            ),
            (
                "AuthenticationKeyStoreTls",
                "keyStoreType:PKCS12,keyStorePath:/s.p12,keyStorePassword:a:b",
                "/s.p12 a:b",
            ),
            (
                "AuthenticationKeyStoreTls",
                r#"{"keyStorePath":"/s.p12","keyStorePassword":"a,b"}"#,
                "/s.p12 a,b",
            ),
        ] {
            assert_eq!(read(plugin, parameters).as_deref(), Ok(is), "{parameters}");
        }
    }

    #[test]
    fn a_token_may_stand_in_the_environment() {
        let is_token =
            |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_graphic());
        let set = std::env::vars().find(|(_, value)| is_token(value));
        let (name, value) = set.expect("something is set wherever tests run");
        assert_eq!(
            read("AuthenticationToken", &format!("env:{name}")),
            Ok(value)
        );
    }

    #[test]
    fn what_cannot_be_used_says_so_without_repeating_it() {
        for (plugin, parameters, why) in [
            ("AuthenticationToken", "token:", "empty"),
            ("AuthenticationToken", "hidden token", "characters"),
            (
                "AuthenticationToken",
                "env:PWS_NO_SUCH_hidden",
                "environment",
            ),
            (
                "AuthenticationToken",
                r#"{"jwt":"hidden"}"#,
                "without token",
            ),
            ("AuthenticationToken", r#"{"token":"hidden"#, "no JSON"),
            ("AuthenticationToken", "file://", "file:///path"),
            (
                "oauth2.AuthenticationOAuth2",
                r#"{"issuerUrl":"hidden","privateKey":"hidden"}"#,
                "issuerUrl",
            ),
            (
                "oauth2.AuthenticationOAuth2",
                r#"{"issuerUrl":"https://i","privateKey":"hidden"}"#,
                "privateKey",
            ),
            ("AuthenticationBasic", "hidden:hidden", "no JSON"),
            (
                "AuthenticationBasic",
                r#"{"userId":"a:b","password":"hidden"}"#,
                "colon",
            ),
            (
                "AuthenticationBasic",
                r#"{"password":"hidden"}"#,
                "without userId",
            ),
            (
                "AuthenticationTls",
                "tlsCertFile:/hidden",
                "without tlsKeyFile",
            ),
            (
                "AuthenticationAthenz",
                r#"{"privateKey":"hidden"}"#,
                "AuthenticationAthenz, a Java class",
            ),
            (
                "AuthenticationKeyStoreTls",
                "keyStorePassword:hidden",
                "without keyStorePath",
            ),
        ] {
            let error = read(plugin, parameters).expect_err(parameters);
            assert!(error.contains(why), "{parameters}: {error}");
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(proof("AuthenticationToken", None).is_err());
    }
}
