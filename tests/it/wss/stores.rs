//! `tlsEnabledWithKeyStore`: PKCS#12 is read, Java's own format is refused with the command that converts it.

use crate::support::World;
use crate::support::certificates::{Authority, Folder, trust_store};
use crate::support::process::program;
use crate::support::secure::{Secure, Trust, Version};

use super::new_reader;

#[test]
fn a_pkcs12_store_serves_and_a_trust_store_judges() {
    let (authority, folder) = (Authority::new("it"), Folder::new());
    let server = authority.server(&["localhost"]);
    let keys = folder.write("keys.p12", server.key_store("for keys"));
    let trust = folder.write("trust.p12", trust_store(authority.pem(), "for trust"));
    let world = World::with(&[
        "webServicePortTls=0",
        "tlsEnabledWithKeyStore=true",
        "tlsKeyStoreType=PKCS12",
        &format!("tlsKeyStore={keys}"),
        "tlsKeyStorePassword=for keys",
        "tlsTrustStoreType=PKCS12",
        &format!("tlsTrustStore={trust}"),
        "tlsTrustStorePassword=for trust",
        "tlsRequireTrustedClientCertOnConnect=true",
    ]);
    let me = authority.client("me");
    let known = Trust::new(&authority, Version::Tls13, Some(&me));
    Secure::open(world.address_tls(), &known, &new_reader()).close();
    let unknown = Trust::new(&authority, Version::Tls13, None);
    assert!(Secure::try_open(world.address_tls(), &unknown, &new_reader()).is_err());
}

#[test]
fn a_store_of_java_is_refused_with_the_command_that_converts_it() {
    let folder = Folder::new();
    let store = folder.write("old.jks", [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]);
    let output = program()
        .args(["checkconfig", "--set", "webServicePortTls=0"])
        .args(["--set", "tlsEnabledWithKeyStore=true"])
        .args(["--set", &format!("tlsKeyStore={store}")])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{told}");
    let command = format!("keytool -importkeystore -srckeystore {store} -srcstoretype JKS");
    assert!(told.contains(&command), "{told}");
}
