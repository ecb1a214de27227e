//! What a request offers, in all the forms that clients use; and what a certificate names.

use crate::auth::authentication::Verdict;
use crate::auth::{
    Authentication, Desk, Lane, Offered, Question, Settings, protocol_to_answer, tls,
};
use crate::http::{HeadReader, Request};

fn request(headers: &str) -> Request {
    let head = format!("GET /x HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    let (request, _) = HeadReader::new().feed(head.as_bytes()).unwrap().unwrap();
    request
}

fn token(headers: &str, query: Option<&str>) -> Option<String> {
    let offered = Offered::of(&request(headers), query, None);
    offered.token.map(|token| token.to_string())
}

#[test]
fn a_bearer_token_is_taken_in_every_form_that_clients_write() {
    for header in [
        "Authorization: Bearer eyJ.a.b\r\n",
        "Authorization:BearereyJ.a.b\r\n",
        "Authorization:Bearer eyJ.a.b\r\n",
        "authorization: bearer   eyJ.a.b \r\n",
        "AUTHORIZATION: BEARER eyJ.a.b\r\n",
        "Authorization: Bearer eyJ.a.b\r\nAuthorization: Bearer other\r\n",
    ] {
        assert_eq!(token(header, None).as_deref(), Some("eyJ.a.b"), "{header}");
    }
    for header in [
        "",
        "Authorization: \r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer  \r\n",
        "Authorization: eyJ.a.b\r\n",
        "Authorization: Digest eyJ.a.b\r\n",
        "Authorization: Bear\r\n",
        "Proxy-Authorization: Bearer eyJ.a.b\r\n",
    ] {
        assert_eq!(token(header, None), None, "{header}");
    }
}

#[test]
fn the_header_wins_over_the_query_and_that_over_the_protocols() {
    let header = "Authorization: Bearer h\r\n";
    let protocols = "Sec-WebSocket-Protocol: pulsar, pulsar-token.p\r\n";
    let both = format!("{header}{protocols}");
    assert_eq!(token(&both, Some("q")).as_deref(), Some("h"));
    assert_eq!(token(protocols, Some("q")).as_deref(), Some("q"));
    assert_eq!(token(protocols, None).as_deref(), Some("p"));
    // Also where it is of no use: nobody slips a token in behind a header that a proxy has set.
    assert_eq!(token("Authorization: Digest x\r\n", Some("q")), None);
    assert_eq!(token("Authorization: \u{e9}\r\n", Some("q")), None);
    assert_eq!(token("", Some("Bearer q")).as_deref(), Some("q"));
    assert_eq!(token("", Some("")), None);
}

#[test]
fn user_and_password_are_taken_out_of_the_header() {
    let basic = |header: &str| {
        let offered = Offered::of(&request(header), None, None);
        offered.basic.map(|pair| pair.to_string())
    };
    for header in [
        "Authorization: Basic dTpwdw==\r\n",
        "Authorization: basic  dTpwdw== \r\n",
        "Authorization: Basic dTpwdw\r\n",
        "Authorization: Basic dTpw dw==\r\n",
    ] {
        assert_eq!(basic(header).as_deref(), Some("u:pw"), "{header}");
    }
    for header in [
        "Authorization: Bearer dTpwdw==\r\n",
        "Authorization: Basic u:pw\r\n",
        "Authorization: Basic dTr/\r\n",
    ] {
        assert_eq!(basic(header), None, "{header}");
    }
}

#[test]
fn brokers_are_shown_the_password_that_was_judged_however_it_was_written() {
    let settings = Settings {
        providers: vec![
            "org.apache.pulsar.broker.authentication.AuthenticationProviderBasic".to_owned(),
        ],
        basic_auth_conf: Some("data:,u:{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM=".to_owned()),
        ..Settings::default()
    };
    for written in ["dTpwdw==", "dTpwdw", "dTpw dw=="] {
        let (mut by, _) = Authentication::new(&settings).unwrap();
        by.keep_credentials = true;
        let request = request(&format!("Authorization: Basic {written}\r\n"));
        let offered = Offered::of(&request, None, None);
        let question = Question {
            who: (),
            offered,
            lane: Lane::Handshake,
        };
        let (_, result) = Desk::new(by.into()).ask(question, super::at(0)).unwrap();
        let shown = result.unwrap().credential.unwrap();
        assert_eq!(shown.as_str(), "u:pw", "{written}");
    }
}

#[test]
fn a_token_among_the_protocols_is_answered_with_another_of_them() {
    let answer = |protocols: &str| {
        let request = request(&format!("Sec-WebSocket-Protocol: {protocols}\r\n"));
        protocol_to_answer(&request).map(|it| it.map(str::to_owned))
    };
    assert_eq!(
        answer("pulsar-token.e.y.J, pulsar"),
        Ok(Some("pulsar".to_owned()))
    );
    assert_eq!(
        answer("v1, pulsar, pulsar-token.e.y.J"),
        Ok(Some("v1".to_owned()))
    );
    assert_eq!(answer("pulsar, v2"), Ok(None));
    assert_eq!(protocol_to_answer(&request("")), Ok(None));
    for alone in [
        "pulsar-token.e.y.J",
        "pulsar-token.a, pulsar-token.b",
        "pulsar-token.a, x\"y",
    ] {
        let why = answer(alone).unwrap_err();
        assert!(!why.contains("e.y.J"), "{why}");
    }
    let lines = "Sec-WebSocket-Protocol: pulsar-token.t\r\nSec-WebSocket-Protocol: pulsar\r\n";
    assert_eq!(protocol_to_answer(&request(lines)), Ok(Some("pulsar")));
}

fn certificate(names: &[(rcgen::DnType, &str)]) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, name) in names {
        params.distinguished_name.push(kind.clone(), *name);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn common_name(certificate: &[u8]) -> Option<String> {
    tls::subject(certificate).map(|subject| subject.common_name)
}

#[test]
fn a_certificates_common_name_is_the_role() {
    use rcgen::DnType::{CommonName, OrganizationName};
    let der = certificate(&[(OrganizationName, "Org"), (CommonName, "Steve Kille")]);
    assert_eq!(common_name(&der).as_deref(), Some("Steve Kille"));
    let der = certificate(&[(CommonName, "grüße,CN=admin")]);
    assert_eq!(common_name(&der).as_deref(), Some("grüße,CN=admin"));
    // What Java would take for a name, because it searches the text.
    let der = certificate(&[(OrganizationName, "x,CN=admin")]);
    assert_eq!(common_name(&der), None);
    assert_eq!(common_name(&certificate(&[])), None);
    assert_eq!(common_name(&certificate(&[(CommonName, " ")])), None);
    assert_eq!(common_name(&certificate(&[(CommonName, "a\nb")])), None);
}

#[test]
fn a_role_by_a_certificate_ends_with_it() {
    let mut params = rcgen::CertificateParams::default();
    params.not_after = rcgen::date_time_ymd(2031, 5, 4);
    let key = rcgen::KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap();
    let offered = Offered {
        certificate: tls::subject(der.der()),
        ..Offered::default()
    };
    let until_ms = match tls::check(&offered) {
        Verdict::Accepted(verified) => verified.expires_ms,
        _ => None,
    };
    assert_eq!(until_ms, Some(1_935_619_200_000));
}

#[test]
fn what_is_no_certificate_names_nobody() {
    let der = certificate(&[(rcgen::DnType::CommonName, "a")]);
    for end in 0..der.len() / 2 {
        assert_eq!(common_name(&der[..end]), None);
    }
    assert_eq!(common_name(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    assert_eq!(common_name(&[0x30, 0x80, 0, 0]), None);
}
