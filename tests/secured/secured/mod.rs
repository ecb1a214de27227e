//! The secured Pulsar: one for all tests of a run.
//!
//! | role | how it proves itself | what it may do |
//! |---|---|---|
//! | `admin` | a token | everything: a superuser |
//! | `proxy` | a token | connect on behalf of others (`proxyRoles`), and what it is granted itself |
//! | `gateway` | a token | everything, and connect on behalf of others |
//! | any | a token (`Secured::token`), a certificate ([`Secured::certificate`]) | what it is granted ([`Secured::grant`]) |
//! | [`BASIC_USER`] | a password, [`BASIC_PASSWORD`] | what it is granted |

mod proxy;
mod pulsar;
mod rest;

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

pub use self::proxy::Proxy;
pub use self::pulsar::free_port;
pub use self::rest::Rest;
use crate::support::certificates::{Authority, Signed};
use crate::support::issuer::Issuer;
use crate::support::{World, tokens};

pub const BASIC_USER: &str = "basic-user";
pub const BASIC_PASSWORD: &str = "basic-secret";
/// The password as `htpasswd -m` writes it.
const BASIC_USERS: &str = "basic-user:$apr1$pwsfast1$SQYP1V6uVNaTt6jJOkH0.0\n";

const TRUST_CERTS: &str = "trust.pem";

/// An expired token is noticed, and a new one asked for, so often; who is asked has as long to answer, also on a busy machine.
pub const REFRESH_CHECK: Duration = Duration::from_secs(2);
/// An expired token has been noticed by then: it is looked at, and asked for.
pub const NOTICED: Duration = Duration::from_secs(2 * REFRESH_CHECK.as_secs() + 2);

/// For which this Pulsar's issuer has tokens.
pub const AUDIENCE: &str = "pulsar";

/// Settings by which a gateway shows a token, which the parameters name as in Java.
pub fn by_token(parameters: &str) -> [String; 2] {
    [
        "brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken"
            .to_owned(),
        format!("brokerClientAuthenticationParameters={parameters}"),
    ]
}

/// The Java gateway with these settings, which listens on this port when this returns; `name` is of this run alone.
pub fn start_java_gateway(name: &str, port: u16, settings: &[(&str, String)]) {
    let folder = pulsar::new_folder(name);
    let mut process = pulsar::start_gateway(&folder, settings);
    pulsar::wait_until(&folder, &mut process, || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
}

pub struct Secured {
    folder: PathBuf,
    authority: Authority,
    broker_port: u16,
    web_port: u16,
    zookeeper_port: u16,
    /// Whose tokens count too.
    issuer: Option<Issuer>,
}

/// Files of a certificate and its key, PEM.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Secured {
    /// The one of this run, started by the first who asks. A run of all tests wants the other one too, and its proxy: they
    /// start beside it.
    pub fn get() -> &'static Secured {
        static SECURED: OnceLock<Secured> = OnceLock::new();
        SECURED.get_or_init(|| {
            let all_tests = std::env::args()
                .skip(1)
                .all(|argument| argument.starts_with('-'));
            if all_tests {
                std::thread::spawn(Proxy::get);
            }
            Secured::start("secured", None)
        })
    }

    /// Another one, which verifies for itself whom a proxy speaks for (`authenticateOriginalAuthData`), and believes the
    /// tokens of an issuer ([`Secured::issuer`]), too.
    pub fn that_asks_for_original_auth_data() -> &'static Secured {
        static SECURED: OnceLock<Secured> = OnceLock::new();
        SECURED.get_or_init(|| Secured::start("verifying", Some(Issuer::start())))
    }

    fn start(name: &str, issuer: Option<Issuer>) -> Secured {
        let folder = pulsar::new_folder(name);
        let authority = Authority::new("Authority of these tests");
        let secured = Secured {
            broker_port: pulsar::free_port(),
            web_port: pulsar::free_port(),
            zookeeper_port: pulsar::free_port(),
            folder,
            authority,
            issuer,
        };
        fs::write(secured.trust_certs(), secured.authority.pem()).expect("the folder is there");
        fs::write(secured.secret_key(), tokens::SECRET_KEY).expect("the folder is there");
        fs::write(secured.path("users"), BASIC_USERS).expect("the folder is there");
        let server = secured.authority.server(&["localhost"]);
        let server = secured.write("server", &server);
        secured.write("gateway", &secured.authority.server(&["localhost"]));
        let settings = secured.settings(&server);
        let mut process = pulsar::start(&secured.folder, secured.zookeeper_port, &settings);
        pulsar::wait_until_ready(&secured.folder, &mut process, &secured.admin());
        secured
    }

    /// What differs from Pulsar's own `standalone.conf`.
    fn settings(&self, server: &Certificate) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let kinds = ["Token", "Tls", "Basic"].map(|kind| format!("AuthenticationProvider{kind}"));
        let open_id = self
            .issuer
            .iter()
            .map(|_| "oidc.AuthenticationProviderOpenID".to_owned());
        let providers: Vec<_> = kinds
            .into_iter()
            .chain(open_id)
            .map(|class| format!("org.apache.pulsar.broker.authentication.{class}"))
            .collect();
        let mut settings = vec![
            ("brokerServicePort", String::new()),
            ("brokerServicePortTls", self.broker_port.to_string()),
            ("webServicePort", String::new()),
            ("webServicePortTls", self.web_port.to_string()),
            ("bindAddress", "127.0.0.1".into()),
            ("advertisedAddress", "localhost".into()),
            ("tlsCertificateFilePath", path(&server.certificate)),
            ("tlsKeyFilePath", path(&server.key)),
            ("tlsTrustCertsFilePath", path(&self.trust_certs())),
            ("authenticationEnabled", "true".into()),
            ("authenticationProviders", providers.join(",")),
            (
                "authenticationRefreshCheckSeconds",
                REFRESH_CHECK.as_secs().to_string(),
            ),
            (
                "tokenSecretKey",
                format!("file://{}", path(&self.secret_key())),
            ),
            ("basicAuthConf", path(&self.path("users"))),
            ("authorizationEnabled", "true".into()),
            ("superUserRoles", "admin,gateway".into()),
            ("proxyRoles", "proxy,gateway".into()),
            ("brokerClientTlsEnabled", "true".into()),
            ("brokerClientTrustCertsFilePath", path(&self.trust_certs())),
            (
                "brokerClientAuthenticationPlugin",
                "org.apache.pulsar.client.impl.auth.AuthenticationToken".into(),
            ),
            (
                "brokerClientAuthenticationParameters",
                format!("token:{}", self.token("admin")),
            ),
        ];
        if let Some(issuer) = &self.issuer {
            settings.extend([
                ("authenticateOriginalAuthData", "true".into()),
                ("openIDAllowedTokenIssuers", issuer.name.clone()),
                ("openIDAllowedAudiences", AUDIENCE.into()),
                ("openIDRequireIssuersUseHttps", "false".into()),
            ]);
        }
        settings
    }

    /// A gateway that trusts this Pulsar, with `key=value` settings as `--set` takes them; they say how it proves
    /// itself, and may lead to the broker in another way.
    pub fn gateway(&self, settings: &[&str]) -> World {
        let trust = format!(
            "brokerClientTrustCertsFilePath={}",
            self.trust_certs().display()
        );
        let all: Vec<&str> = [trust.as_str()]
            .into_iter()
            .chain(settings.iter().copied())
            .collect();
        World::on_pulsar(&self.broker_url(), &self.web_url(), &all)
    }

    /// The same; it proves itself by this role's token.
    pub fn gateway_as(&self, role: &str, settings: &[&str]) -> World {
        let token = by_token(&format!("token:{}", self.token(role)));
        let all: Vec<&str> = token
            .iter()
            .map(String::as_str)
            .chain(settings.iter().copied())
            .collect();
        self.gateway(&all)
    }

    /// Whose tokens count beside its own.
    pub fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// `pulsar+ssl://localhost:port`, by the name that its certificate has, and no other.
    pub fn broker_url(&self) -> String {
        format!("pulsar+ssl://localhost:{}", self.broker_port)
    }

    /// `https://localhost:port`; Pulsar's own WebSocket gateway is there too, under `/ws/`.
    pub fn web_url(&self) -> String {
        format!("https://localhost:{}", self.web_port)
    }

    /// `zk:host:port` of its metadata.
    pub fn store_url(&self) -> String {
        format!("zk:127.0.0.1:{}", self.zookeeper_port)
    }

    /// Signs all certificates here.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Settings of a gateway with a TLS port, whose certificate is for `localhost`; clients may show theirs.
    pub fn wss_settings(&self) -> [(&'static str, String); 3] {
        [
            ("tlsCertificateFilePath", "gateway.pem"),
            ("tlsKeyFilePath", "gateway.key"),
            ("tlsTrustCertsFilePath", TRUST_CERTS),
        ]
        .map(|(key, file)| (key, self.path(file).display().to_string()))
    }

    /// The certificate of the authority behind all others here.
    pub fn trust_certs(&self) -> PathBuf {
        self.path(TRUST_CERTS)
    }

    /// The key that tokens are signed with (HS256), as `tokenSecretKey` wants it: 32 bytes.
    pub fn secret_key(&self) -> PathBuf {
        self.path("secret.key")
    }

    /// For files of a test; of this run alone.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A token that does not expire.
    pub fn token(&self, role: &str) -> String {
        tokens::token(role)
    }

    /// A token that expires in so many seconds; or that has expired, where they are below 0.
    pub fn token_for(&self, role: &str, seconds: i64) -> String {
        tokens::ending(role, seconds)
    }

    /// A client's certificate, by which Pulsar takes it for `role`.
    pub fn certificate(&self, role: &str) -> Certificate {
        self.write(&format!("client-{role}"), &self.authority.client(role))
    }

    fn write(&self, name: &str, signed: &Signed) -> Certificate {
        let files = Certificate {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        };
        fs::write(&files.certificate, &signed.certificate).expect("the folder is there");
        fs::write(&files.key, &signed.key).expect("the folder is there");
        files
    }

    /// Pulsar's admin service, asked as the superuser.
    pub fn admin(&self) -> Rest {
        self.admin_as(&self.token("admin"))
    }

    /// The same with somebody's token.
    pub fn admin_as(&self, token: &str) -> Rest {
        self.rest(&format!("Bearer {token}"))
    }

    /// The same with this `Authorization` header.
    pub fn rest(&self, authorization: &str) -> Rest {
        Rest::new(self.web_port, self.authority.pem(), authorization)
    }

    /// The same with a client's certificate.
    pub fn rest_with(&self, certificate: &Certificate) -> Rest {
        Rest::with_certificate(self.web_port, self.authority.pem(), certificate)
    }

    /// A new namespace (`tenant/name`) that only superusers may use as yet.
    pub fn create_namespace(&self, namespace: &str) {
        let path = format!("/admin/v2/namespaces/{namespace}");
        self.admin().expect("PUT", &path, &json!({}));
    }

    /// Grants a role `produce`, `consume` or others on a namespace.
    pub fn grant(&self, namespace: &str, role: &str, actions: &[&str]) {
        let path = format!("/admin/v2/namespaces/{namespace}/permissions/{role}");
        self.admin().expect("POST", &path, &json!(actions));
    }

    /// Takes back all that a role was granted on a namespace.
    pub fn revoke(&self, namespace: &str, role: &str) {
        let path = format!("/admin/v2/namespaces/{namespace}/permissions/{role}");
        self.admin().expect("DELETE", &path, &Value::Null);
    }
}
