//! Apache's ProxyPublishConsumeTlsTest: `wss://` for clients, TLS and a certificate of the gateway's own towards
//! brokers, which are found in the metadata store; V1 paths, one with a slash at its end.

use serde_json::json;

use crate::secured::Secured;
use crate::support::secure::{Secure, Trust, Version};
use crate::support::topic;

const TLS_PLUGIN: &str = "org.apache.pulsar.client.impl.auth.AuthenticationTls";

#[test]
fn messages_go_through_with_tls_on_both_sides() {
    let secured = Secured::get();
    let own = secured.certificate("tls-gateway");
    let settings = [
        vec![
            format!("brokerClientAuthenticationPlugin={TLS_PLUGIN}"),
            format!(
                "brokerClientAuthenticationParameters=tlsCertFile:{},tlsKeyFile:{}",
                own.certificate.display(),
                own.key.display()
            ),
        ],
        secured
            .wss_settings()
            .map(|(key, it)| format!("{key}={it}"))
            .to_vec(),
        vec![
            "webServicePortTls=0".to_owned(),
            "brokerServiceUrl=".to_owned(),
            "clusterName=standalone".to_owned(),
            format!("configurationMetadataStoreUrl={}", secured.store_url()),
            "brokerClientTlsEnabled=true".to_owned(),
        ],
    ]
    .concat();
    let world = secured.gateway(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let namespace = format!("public/standalone/{}", topic("tls"));
    let path = format!("/admin/namespaces/{namespace}");
    secured.admin().expect("PUT", &path, &json!({}));
    let path = format!("{path}/permissions/tls-gateway");
    let actions = json!(["produce", "consume"]);
    secured.admin().expect("POST", &path, &actions);
    let name = topic("my-topic");
    let trust = Trust::new(secured.authority(), Version::Tls13, None);
    let open = |path: &str| Secure::open(world.address_tls(), &trust, path);
    let consumer = format!("/ws/consumer/persistent/{namespace}/{name}/my-sub");
    let mut consumer = open(&consumer);
    let mut producer = open(&format!("/ws/producer/persistent/{namespace}/{name}/"));
    for number in ["0", "1", "2"] {
        producer.publish(number);
        assert_eq!(consumer.receive(), number);
    }
}
