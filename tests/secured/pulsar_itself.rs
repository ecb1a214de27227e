//! The set-up itself: this Pulsar asks who one is, and what one may do.

use serde_json::json;

use crate::secured::{BASIC_PASSWORD, BASIC_USER, Secured};
use crate::support::{base64, topic};

/// A lookup of somebody who is known and has no permission: 401 too, as for who is not known.
fn is_not_allowed((status, answer): (u16, String)) -> bool {
    status == 401 && answer.contains("Unauthorized to validateTopicOperation")
}

#[test]
fn only_who_is_known_and_allowed_is_served() {
    let secured = Secured::get();
    let namespace = format!("public/{}", topic("itself"));
    secured.create_namespace(&namespace);
    let policies = format!("/admin/v2/namespaces/{namespace}");
    assert_eq!(secured.admin().get(&policies).0, 200);
    assert_eq!(secured.admin_as("nonsense").get(&policies).0, 401);
    let expired = secured.token_for("admin", -60);
    assert_eq!(secured.admin_as(&expired).get(&policies).0, 401);
    let nobody = secured.admin_as(&secured.token("nobody"));
    assert_eq!(nobody.get(&policies).0, 403);

    let lookup = format!("/lookup/v2/topic/persistent/{namespace}/t");
    assert!(is_not_allowed(nobody.get(&lookup)));
    secured.grant(&namespace, "nobody", &["produce"]);
    let owner: serde_json::Value = serde_json::from_str(&nobody.get(&lookup).1).expect("JSON");
    assert_eq!(owner["brokerUrl"], json!(null));
    assert_eq!(owner["brokerUrlTls"], json!(secured.broker_url()));
    assert_eq!(owner["httpUrlTls"], json!(secured.web_url()));
    secured.revoke(&namespace, "nobody");
    assert!(is_not_allowed(nobody.get(&lookup)));
}

#[test]
fn a_certificate_and_a_password_say_who_one_is_too() {
    let secured = Secured::get();
    let namespace = format!("public/{}", topic("means"));
    secured.create_namespace(&namespace);
    let lookup = format!("/lookup/v2/topic/persistent/{namespace}/t");
    let certificate = secured.certificate("by-certificate");
    let password = base64(&format!("{BASIC_USER}:{BASIC_PASSWORD}"));
    for (role, client) in [
        ("by-certificate", secured.rest_with(&certificate)),
        (BASIC_USER, secured.rest(&format!("Basic {password}"))),
    ] {
        assert!(is_not_allowed(client.get(&lookup)), "{role}");
        secured.grant(&namespace, role, &["consume"]);
        assert_eq!(client.get(&lookup).0, 200, "{role}");
    }
    let wrong = base64(&format!("{BASIC_USER}:wrong"));
    let (status, answer) = secured.rest(&format!("Basic {wrong}")).get(&lookup);
    assert_eq!(status, 401);
    assert!(!is_not_allowed((status, answer)));
}
