//! The program itself: flags, exit statuses, what it says first, and how it ends.
//!
//! Set-up: the built binary, with the broker of `support` or its own. Claim: wrong settings end it with 64 and are all
//! told; a newcomer's first line works; a signal ends it with 0.

use std::process::{Command, Output};

use crate::support::process::{Gateway, program};

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("it runs")
}

#[test]
fn the_first_line_says_that_nothing_is_kept_and_the_line_to_try_works() {
    let mut gateway = Gateway::start(&["--port", "0"]);
    let first = gateway.next_line();
    assert!(first.contains("embedded broker on 127.0.0.1:"), "{first}");
    assert!(first.contains("memory only"), "{first}");
    let line = gateway.line_after("to try it: ");
    let python = Command::new("python3").arg("--version").output().is_ok();
    if python {
        let tried = Command::new("sh")
            .args(["-c", &line])
            .output()
            .expect("sh runs");
        let answer = String::from_utf8_lossy(&tried.stdout);
        assert!(
            answer.starts_with(r#"{"result":"ok","messageId":""#),
            "{tried:?}"
        );
    }
    gateway.signal("TERM");
    assert_eq!(gateway.exit_status(), Some(0));
}

#[test]
fn an_interrupt_ends_it_even_when_the_broker_cannot_be_reached() {
    // Port 9 (discard): nothing listens there.
    let mut gateway = Gateway::start(&["--port", "0", "--broker", "pulsar://127.0.0.1:9"]);
    let build = gateway.next_line();
    assert!(
        build.contains("in front of pulsar://127.0.0.1:9"),
        "{build}"
    );
    gateway.line_after("listening on ws://127.0.0.1:");
    gateway.signal("INT");
    assert_eq!(gateway.exit_status(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let port = taken.local_addr().expect("bound").port().to_string();
    let mut gateway = Gateway::start(&["--port", &port]);
    gateway.line_after(&address);
    assert_eq!(gateway.exit_status(), Some(1));
}

#[test]
fn every_wrong_setting_is_told_at_once_and_the_status_is_64() {
    let wrong = [
        "--port",
        "x",
        "--set",
        "authenticationEnabled=perhaps",
        "--upstream",
        "none",
    ];
    for action in [&[][..], &["checkconfig"]] {
        let output = run(&[action, &wrong].concat());
        assert_eq!(output.status.code(), Some(64));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told.lines().count(), 3, "{told}");
    }
}

#[test]
fn checkconfig_says_ok_and_what_it_noticed() {
    let path = std::env::temp_dir().join(format!("pws-fast-{}.conf", std::process::id()));
    std::fs::write(
        &path,
        "webServicePort=8080\nwebServicePrt=1\nclusterName=\n",
    )
    .expect("written");
    let file = path.to_str().expect("a plain name");
    let output = run(&["checkconfig", "--config", file]);
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        told.contains("is webServicePort meant?") && told.ends_with("ok\n"),
        "{told}"
    );
}

#[test]
fn checkconfig_looks_at_the_files_that_the_start_would_read() {
    for setting in [
        "cryptoKeyDirectory=/no/such/folder",
        "cryptoPrivateKeyFiles=a=/no/such.pem",
        "brokerClientTrustCertsFilePath=/no/such.pem",
    ] {
        let url = "--broker=pulsar+ssl://localhost:1";
        let output = run(&["checkconfig", url, "--set", setting]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{setting}");
        assert!(told.contains("/no/such"), "{setting}: {told}");
    }
}

#[test]
fn checkconfig_names_every_file_that_is_missing() {
    let missing = [
        "tlsCertificateFilePath",
        "tlsKeyFilePath",
        "tlsTrustCertsFilePath",
        "brokerClientTrustCertsFilePath",
        "cryptoKeyDirectory",
    ];
    let mut arguments = vec!["checkconfig", "--broker=pulsar+ssl://localhost:1"];
    let set: Vec<_> = missing.map(|key| format!("{key}=/no/such")).into();
    for setting in set
        .iter()
        .map(String::as_str)
        .chain(["webServicePortTls=0"])
    {
        arguments.extend(["--set", setting]);
    }
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.lines().count(), missing.len(), "{told}");
    for key in missing {
        assert!(told.contains(key), "{key}: {told}");
    }
}

#[test]
fn checkconfig_notes_what_cannot_work_yet_and_refuses_what_never_will() {
    let token = [
        "brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken",
        "brokerClientAuthenticationParameters=file:///no/such.token",
    ];
    let check = |settings: &[&str]| {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let first = ["checkconfig", "--broker=pulsar://localhost:1"];
        run(&first.into_iter().chain(set).collect::<Vec<_>>())
    };
    let output = check(&token);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(told.contains("/no/such.token: No such file"), "{told}");
    let fixture = |name: &str| format!("{}/src/tls/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let output = check(&[
        "webServicePortTls=8443",
        &format!("tlsCertificateFilePath={}", fixture("expired.pem")),
        &format!("tlsKeyFilePath={}", fixture("ec-sec1.pem")),
    ]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("the certificate has expired"), "{told}");
    let output = check(&["webServicePort=8443", "webServicePortTls=8443"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64));
    assert!(told.contains("are both 8443"), "{told}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flag in ["--help", "--version"] {
        let output = run(&[flag]);
        assert!(output.status.success() && output.stderr.is_empty());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("pws-fast") || text.contains("WebSocket"),
            "{text}"
        );
    }
}
