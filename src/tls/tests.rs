//! Files of every form that Java's gateway takes. Those under `fixtures` are of nobody and valid for a hundred years (`expired.pem` was for one):
//! keys by `openssl ecparam -genkey` and `genrsa -traditional` (with `-aes128` too), certificates by `openssl x509 -req` (`v1.pem` without `-extfile`), `openssl req -x509` and `openssl ca`, stores by
//! `openssl pkcs12 -export` (with `-legacy` too, and with `-nokeys`) and `keytool -importkeystore` and `-import`.

use std::path::{Path, PathBuf};

use rustls::SupportedCipherSuite;
use rustls::pki_types::PrivateKeyDer;

use super::watch::Watch;
use super::{pem, server, stores};
use crate::config::{KeyFiles, ListenerTls, Password};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/tls/fixtures")
        .join(name)
}

fn pem_files(certificates: &str, key: &str, trusted: Option<&str>) -> KeyFiles {
    KeyFiles::Pem {
        certificates: fixture(certificates),
        key: fixture(key),
        trusted: trusted.map(fixture),
    }
}

fn settings(files: KeyFiles) -> ListenerTls {
    ListenerTls {
        port: 0,
        alone: false,
        files,
        require_client_certificate: false,
        accept_untrusted: false,
        suites: rustls::crypto::ring::ALL_CIPHER_SUITES.to_vec(),
        refresh_ms: 1000,
    }
}

fn changeit() -> Password {
    "changeit".into()
}

#[test]
fn keys_are_read_in_every_form_of_pem() {
    let kind = |certificates, key| {
        let identity = pem::identity([""; 2], &fixture(certificates), &fixture(key)).unwrap();
        assert!(server::load(&settings(pem_files(certificates, key, None))).is_ok());
        identity.key
    };
    assert!(matches!(
        kind("ec.pem", "ec-sec1.pem"),
        PrivateKeyDer::Sec1(_)
    ));
    assert!(matches!(
        kind("rsa.pem", "rsa-pkcs1.pem"),
        PrivateKeyDer::Pkcs1(_)
    ));
}

#[test]
fn pem_files_that_cannot_be_used_are_named_with_the_remedy() {
    for (certificates, key, why) in [
        ("none.pem", "ec-sec1.pem", "none.pem: No such file"),
        (
            "ec-sec1.pem",
            "ec-sec1.pem",
            "ec-sec1.pem: holds no certificate",
        ),
        ("ec.pem", "ec.pem", "ec.pem: holds no private key"),
        (
            "ec.pem",
            "encrypted.pem",
            "decrypt it with: openssl pkey -in ",
        ),
        (
            "ec.pem",
            "encrypted-pkcs1.pem",
            "decrypt it with: openssl pkey -in ",
        ),
        ("ec.pem", "java.p12", "java.p12: holds no private key"),
        (
            "ec.pem",
            "rsa-pkcs1.pem",
            "rsa-pkcs1.pem: the key is not that of the first certificate",
        ),
        ("ec.der", "ec-sec1.pem", "openssl x509 -inform der -in "),
        ("ec.pem", "ec-sec1.der", "openssl pkey -inform der -in "),
    ] {
        let error = mistakes(certificates, key, None).join("\n");
        assert!(error.contains(why), "{error}");
    }
}

fn mistakes(certificates: &str, key: &str, trusted: Option<&str>) -> Vec<String> {
    let loaded = server::load(&settings(pem_files(certificates, key, trusted)));
    loaded.err().unwrap()
}

#[test]
fn every_file_that_cannot_be_used_is_told_with_the_setting_that_names_it() {
    let mistakes = mistakes("none.pem", "ec.pem", Some("rsa-pkcs1.pem"));
    let [certificates, key, trusted] = mistakes.as_slice() else {
        panic!("{mistakes:?}");
    };
    assert!(certificates.starts_with("tlsCertificateFilePath: /"));
    assert!(key.starts_with("tlsKeyFilePath: /"));
    assert!(trusted.starts_with("tlsTrustCertsFilePath: /"));
}

/// The gateway only shows it: clients may take what their own libraries take, as Java's do.
#[test]
fn a_certificate_of_version_1_is_shown_as_it_is() {
    let settings = settings(pem_files("v1.pem", "ec-sec1.pem", None));
    assert!(server::load(&settings).is_ok());
}

#[test]
fn a_key_for_which_there_is_no_cipher_suite_left_is_refused() {
    let loads = |certificates, key| {
        let mut settings = settings(pem_files(certificates, key, None));
        let is_left = |suite: &SupportedCipherSuite| {
            format!("{:?}", suite.suite()).starts_with("TLS_ECDHE_ECDSA")
        };
        settings.suites.retain(is_left);
        server::load(&settings).map(drop)
    };
    assert_eq!(loads("ec.pem", "ec-sec1.pem"), Ok(()));
    let mistakes = loads("rsa.pem", "rsa-pkcs1.pem").unwrap_err();
    assert!(mistakes[0].contains("webServiceTlsCiphers"), "{mistakes:?}");
}

#[test]
fn pkcs12_stores_of_openssl_and_java_are_read() {
    let own = pem::certificates_of(&fixture("ec.pem")).unwrap();
    let authority = pem::certificates_of(&fixture("authority.pem")).unwrap();
    for name in ["openssl.p12", "openssl-legacy.p12", "java.p12"] {
        let identity = stores::identity(&fixture(name), &changeit()).unwrap();
        assert_eq!(
            identity.chain,
            [own.clone(), authority.clone()].concat(),
            "{name}"
        );
    }
    let trusted = stores::certificates_of(&fixture("java-trust.p12"), &changeit());
    assert_eq!(trusted.unwrap(), authority);
}

#[test]
fn stores_that_cannot_be_used_are_named_with_the_remedy() {
    let jks = fixture("java.jks");
    let error = stores::identity(&jks, &changeit()).err().unwrap();
    let command = format!(
        "keytool -importkeystore -srckeystore {0} -srcstoretype JKS -destkeystore {0}.p12 -deststoretype PKCS12",
        jks.display()
    );
    assert!(error.contains(&command), "{error}");
    for (name, password, why) in [
        ("java.p12", "wrong", "the password is another one"),
        ("ec.pem", "changeit", "no PKCS#12 store"),
        ("java-trust.p12", "changeit", "holds no private key"),
    ] {
        let error = stores::identity(&fixture(name), &password.into())
            .err()
            .unwrap();
        assert!(error.contains(why) && !error.contains("wrong"), "{error}");
    }
    for name in ["java.p12", "openssl-trust.p12"] {
        let error = stores::certificates_of(&fixture(name), &changeit()).unwrap_err();
        assert!(error.contains("keytool -importcert -file"), "{error}");
    }
}

/// A certificate that was not judged must not make its owner somebody.
#[test]
fn certificates_prove_something_only_where_they_are_judged() {
    let proves = |trusted, accept_untrusted| {
        let mut settings = settings(pem_files("ec.pem", "ec-sec1.pem", trusted));
        settings.accept_untrusted = accept_untrusted;
        server::load(&settings).unwrap().certificates_prove
    };
    assert!(proves(Some("authority.pem"), false));
    assert!(!proves(Some("authority.pem"), true));
    assert!(!proves(None, false));
}

#[test]
fn a_file_that_is_replaced_is_seen_to_have_changed() {
    let folder = std::env::temp_dir().join(format!("pws-fast-watch-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (path, new) = (folder.join("a"), folder.join("b"));
    let mut watch = Watch::new([&path].into_iter());
    assert!(!watch.has_changed());
    std::fs::write(&path, "one").unwrap();
    assert!(watch.has_changed() && !watch.has_changed());
    std::fs::write(&new, "two").unwrap();
    std::fs::rename(&new, &path).unwrap();
    assert!(watch.has_changed() && !watch.has_changed());
    std::fs::remove_file(&path).unwrap();
    assert!(watch.has_changed() && !watch.has_changed());
    std::fs::remove_dir_all(&folder).unwrap();
}
