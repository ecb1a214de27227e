//! What the program's log says of a gateway that brokers refuse: what to do, and nothing secret.

use std::fs;

use crate::secured::{Secured, by_token};
use crate::support::process::Gateway;
use crate::support::{Client, topic};

#[test]
fn the_log_says_what_to_do_and_no_token() {
    let secured = Secured::get();
    let token = secured.token_for("nobody", -60);
    let file = secured.path("secret.token");
    fs::write(&file, &token).expect("the folder is there");
    let trust = secured.trust_certs().display().to_string();
    for parameters in [
        format!("token:{token}"),
        format!("file://{}", file.display()),
    ] {
        let [plugin, parameters] = by_token(&parameters);
        let broker = secured.broker_url();
        let trust = format!("brokerClientTrustCertsFilePath={trust}");
        let gateway = Gateway::start(&[
            "--port",
            "0",
            "--broker",
            &broker,
            "--log-level",
            "trace",
            "--set",
            &plugin,
            "--set",
            &parameters,
            "--set",
            &trust,
        ]);
        let mut log = Vec::new();
        let mut line_with = |text: &str| loop {
            let line = gateway.next_line();
            log.push(line.clone());
            if let Some((_, rest)) = line.split_once(text) {
                return rest.to_owned();
            }
        };
        let address = line_with("listening on ws://").parse().expect("an address");
        let path = format!(
            "/ws/v2/producer/persistent/public/default/{}",
            topic("secret")
        );
        let refused = Client::open(address, &path)
            .map(drop)
            .expect_err("the token has expired");
        assert_eq!(refused.0, 401, "{}", refused.1);
        line_with("check brokerClientAuthenticationPlugin");
        let log = log.join("\n");
        let signature = token.rsplit('.').next().expect("it has one");
        assert!(!log.contains(signature), "{log}");
    }
}
