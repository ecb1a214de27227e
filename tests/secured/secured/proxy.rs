//! Pulsar's own proxy in front of the secured Pulsar: TLS on both sides, tokens, which it forwards.

use std::net::TcpStream;
use std::sync::OnceLock;

use super::{Secured, pulsar};

pub struct Proxy {
    port: u16,
}

impl Proxy {
    /// The one of this run, in front of [`Secured::that_asks_for_original_auth_data`].
    pub fn get() -> &'static Proxy {
        static PROXY: OnceLock<Proxy> = OnceLock::new();
        PROXY.get_or_init(|| Proxy::start(Secured::that_asks_for_original_auth_data()))
    }

    fn start(secured: &Secured) -> Proxy {
        let folder = pulsar::new_folder("proxy");
        let proxy = Proxy {
            port: pulsar::free_port(),
        };
        let mut process = pulsar::start_proxy(&folder, &proxy.settings(secured));
        let address = ("127.0.0.1", proxy.port);
        pulsar::wait_until(&folder, &mut process, || {
            TcpStream::connect(address).is_ok()
        });
        proxy
    }

    /// What differs from Pulsar's own `proxy.conf`.
    fn settings(&self, secured: &Secured) -> Vec<(&'static str, String)> {
        let path = |name: &str| secured.path(name).display().to_string();
        let java = "org.apache.pulsar";
        vec![
            ("clusterName", "standalone".into()),
            ("brokerServiceURLTLS", secured.broker_url()),
            ("brokerWebServiceURLTLS", secured.web_url()),
            ("servicePort", String::new()),
            ("servicePortTls", self.port.to_string()),
            ("webServicePort", String::new()),
            ("webServicePortTls", pulsar::free_port().to_string()),
            ("bindAddress", "127.0.0.1".into()),
            ("advertisedAddress", "localhost".into()),
            ("brokerProxyAllowedHostNames", "localhost".into()),
            (
                "brokerProxyAllowedTargetPorts",
                secured.broker_port.to_string(),
            ),
            ("tlsCertificateFilePath", path("server.pem")),
            ("tlsKeyFilePath", path("server.key")),
            ("tlsTrustCertsFilePath", path("trust.pem")),
            ("authenticationEnabled", "true".into()),
            (
                "authenticationProviders",
                format!("{java}.broker.authentication.AuthenticationProviderToken"),
            ),
            ("tokenSecretKey", format!("file://{}", path("secret.key"))),
            ("forwardAuthorizationCredentials", "true".into()),
            ("tlsEnabledWithBroker", "true".into()),
            ("tlsHostnameVerificationEnabled", "true".into()),
            ("brokerClientTrustCertsFilePath", path("trust.pem")),
            (
                "brokerClientAuthenticationPlugin",
                format!("{java}.client.impl.auth.AuthenticationToken"),
            ),
            (
                "brokerClientAuthenticationParameters",
                format!("token:{}", secured.token("proxy")),
            ),
        ]
    }

    /// `pulsar+ssl://localhost:port`; its certificate is for no other name.
    pub fn url(&self) -> String {
        format!("pulsar+ssl://localhost:{}", self.port)
    }
}
