//! Lookups over HTTP: what is asked where, redirects, servers that are down, refusals.

use super::*;

fn http_config(hosts: &[&str]) -> ClientConfig {
    ClientConfig {
        service_urls: hosts.iter().map(|host| web(host)).collect(),
        lookup_by: LookupBy::Http,
        ..config()
    }
}

fn web(host: &str) -> BrokerAddress {
    BrokerAddress {
        host: host.to_owned(),
        port: 8080,
        tls: false,
    }
}

/// A machine whose HTTP connections are seen as text.
struct Web {
    world: World,
    requests: VecDeque<(ConnectionId, String)>,
}

impl Web {
    fn new(hosts: &[&str]) -> Web {
        Web {
            world: World::new(http_config(hosts)),
            requests: VecDeque::new(),
        }
    }

    /// The machine dials `host` and asks; its request.
    fn asked(&mut self, host: &str) -> (ConnectionId, String) {
        let connection = self.dialled(host);
        self.world.client.connected(self.world.now_ms, connection);
        while let Some(io) = self.world.client.poll_io() {
            match io {
                Io::Write { connection, bytes } => {
                    let text = String::from_utf8(bytes.to_vec()).expect("text");
                    self.requests.push_back((connection, text));
                }
                Io::Connect {
                    connection,
                    address,
                    ..
                } => self.world.dialled.push_back((connection, address)),
                Io::Authenticate { connection, .. } => {
                    let credentials = self.world.credentials.clone();
                    self.world
                        .client
                        .authenticate(self.world.now_ms, connection, credentials);
                }
                Io::Close { .. } => {}
            }
        }
        let (asked_on, request) = self.requests.pop_front().expect("a request");
        assert_eq!(asked_on, connection);
        (connection, request)
    }

    fn dialled(&mut self, host: &str) -> ConnectionId {
        self.world.pump();
        let (connection, dialled) = self.world.dialled.pop_front().expect("dialled");
        assert_eq!(dialled.host, host);
        connection
    }

    fn say(&mut self, connection: ConnectionId, status: &str, headers: &str, body: &str) {
        let text = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.world.say_bytes(connection, text.as_bytes());
    }

    fn count(&mut self) {
        self.world
            .client
            .count_partitions(self.world.now_ms, Principal::GATEWAY, TOPIC, 1);
    }

    /// Passes over that the server refuses us, which is beside the answer.
    fn counted(&mut self) -> Result<u32, BrokerError> {
        match self.world.event() {
            Event::Refused { .. } => self.counted(),
            Event::Partitions { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }
}

const OWNER: &str = r#"{"brokerUrl":"pulsar://owner:6650","httpUrl":"http://owner:8080"}"#;

#[test]
fn partitions_are_asked_with_leave_to_create_the_topic() {
    let mut web = Web::new(&["w"]);
    web.count();
    let (connection, request) = web.asked("w");
    let line = request.lines().next();
    let path = "/admin/v2/persistent/public/default/t/partitions?checkAllowAutoCreation=true";
    assert_eq!(line, Some(&*format!("GET {path} HTTP/1.1")));
    assert!(request.contains("\r\nHost: w:8080\r\n"), "{request}");
    web.say(connection, "200 OK", "", r#"{"partitions":4}"#);
    assert_eq!(web.counted(), Ok(4));
    assert_eq!(web.world.closed, [connection]);
}

#[test]
fn an_owner_is_found_and_dialled_in_the_binary_protocol() {
    let mut web = Web::new(&["w"]);
    let now_ms = web.world.now_ms;
    web.world.client.open_producer(now_ms, producer_spec());
    let (connection, request) = web.asked("w");
    assert!(request.starts_with("GET /lookup/v2/topic/persistent/public/default/t HTTP/1.1\r\n"));
    web.say(connection, "200 OK", "", OWNER);
    web.world.accept("owner");
    web.world.heard_producer();
}

#[test]
fn a_redirect_leads_to_another_web_service() {
    let mut web = Web::new(&["w"]);
    let now_ms = web.world.now_ms;
    web.world.client.open_producer(now_ms, producer_spec());
    let (first, _) = web.asked("w");
    let location = "Location: http://other:8081/lookup/x?authoritative=true\r\n";
    web.say(first, "307 Temporary Redirect", location, "");
    let (second, request) = web.asked("other");
    assert!(
        request.starts_with("GET /lookup/x?authoritative=true HTTP/1.1\r\nHost: other:8081\r\n")
    );
    web.say(second, "200 OK", "", OWNER);
    web.world.accept("owner");
}

#[test]
fn redirects_that_go_round_or_nowhere_are_tried_again_later() {
    let mut web = Web::new(&["w"]);
    web.count();
    for _ in 0..21 {
        let (connection, _) = web.asked("w");
        web.say(connection, "307 x", "Location: /again\r\n", "");
    }
    web.world.heard_nothing();
    web.world.pass(100);
    let (connection, _) = web.asked("w");
    web.say(connection, "307 x", "Location: https://secret/\r\n", "");
    web.world.heard_nothing();
    web.world.pass(200);
    web.asked("w");
}

#[test]
fn a_server_that_is_down_breaks_off_or_says_nonsense_is_passed_over() {
    let mut web = Web::new(&["a", "b", "c", "d"]);
    web.count();
    let refused = web.dialled("a");
    let now_ms = web.world.now_ms;
    web.world
        .client
        .connect_failed(now_ms, refused, "connection refused");
    let (broken, _) = web.asked("b");
    web.world
        .say_bytes(broken, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{");
    web.world.lose(broken);
    let (nonsense, _) = web.asked("c");
    web.world.say_bytes(nonsense, b"SSH-2.0-x\r\n\r\n");
    assert_eq!(web.world.closed, [nonsense]);
    let (there, _) = web.asked("d");
    // Without a length the body ends with the connection.
    web.world
        .say_bytes(there, b"HTTP/1.1 200 OK\r\n\r\n{\"partitions\":0}");
    web.world.lose(there);
    assert_eq!(web.counted(), Ok(0));
}

#[test]
fn a_server_that_says_nothing_is_left() {
    let mut web = Web::new(&["a", "b"]);
    web.count();
    let silent = web.dialled("a");
    web.world.pass(10_000);
    assert_eq!(web.world.closed, [silent]);
    let (connection, _) = web.asked("b");
    web.world.pass(19_999);
    web.world.no_event();
    web.world.pass(1);
    let error = web.counted().expect_err("timed out");
    assert_eq!(error.kind, ErrorKind::Timeout);
    // What comes too late is nobody's.
    web.say(connection, "200 OK", "", r#"{"partitions":4}"#);
    web.world.no_event();
}

#[test]
fn refusals_are_those_of_the_binary_protocol() {
    for (status, kind) in [
        ("404 Not Found", ErrorKind::NotFound),
        ("401 Unauthorized", ErrorKind::Unauthenticated),
        ("403 Forbidden", ErrorKind::Unauthorized),
    ] {
        let mut web = Web::new(&["w"]);
        web.count();
        let (connection, _) = web.asked("w");
        web.say(connection, status, "", r#"{"reason":"why"}"#);
        let error = web.counted().expect_err("refused");
        assert_eq!((error.kind, error.message.as_str()), (kind, "why"));
    }
    let mut web = Web::new(&["w"]);
    web.count();
    let (connection, _) = web.asked("w");
    web.say(connection, "503 x", "", "");
    web.world.no_event();
    web.world.pass(100);
    let (connection, _) = web.asked("w");
    web.say(connection, "200 OK", "", r#"{"partitions":70000}"#);
    assert!(web.counted().is_err());
}

#[test]
fn lookups_over_http_have_a_bound_and_take_turns() {
    let mut web = Web::new(&["w"]);
    for tag in 0..100 {
        let topic = format!("{TOPIC}-{tag}");
        web.world
            .client
            .count_partitions(web.world.now_ms, Principal::GATEWAY, &topic, tag);
    }
    web.world.pump();
    assert_eq!(web.world.dialled.len(), 32);
    for _ in 0..100 {
        let (connection, _) = web.asked("w");
        web.say(connection, "200 OK", "", r#"{"partitions":0}"#);
    }
    web.world.pump();
    assert_eq!(web.world.events.len(), 100);
}

#[test]
fn requests_carry_the_credentials_and_tls_leads_to_tls() {
    let mut config = http_config(&["a"]);
    config.service_urls[0].tls = true;
    let mut web = Web {
        world: World::new(config),
        requests: VecDeque::new(),
    };
    web.world.credentials = Ok(Credentials::new("token", "secret".into()));
    web.world
        .client
        .open_producer(web.world.now_ms, producer_spec());
    let (connection, request) = web.asked("a");
    assert!(
        request.contains("\r\nAuthorization: Bearer secret\r\n"),
        "{request}"
    );
    let location = "Location: https://b:8443/lookup/v2/topic/persistent/public/default/t\r\n";
    web.say(connection, "307 Temporary Redirect", location, "");
    let (connection, _) = web.asked("b");
    let owner = r#"{"brokerUrl":"pulsar://plain:6650","brokerUrlTls":"pulsar+ssl://secured:6651"}"#;
    web.say(connection, "200 OK", "", owner);
    let (_, address) = web.world.dialled.pop_front().expect("dialled");
    assert_eq!(
        (address.host.as_str(), address.port, address.tls),
        ("secured", 6651, true)
    );
}

/// A role of `proxyRoles`: refused without an original principal, and with it not.
#[test]
fn a_proxys_role_names_the_websocket_principal_once_it_was_refused_without() {
    const NAMED: &str = "\r\nX-Original-Principal: __websocket_dummy_original_principle\r\n";
    let mut web = Web::new(&["w"]);
    web.world.credentials = Ok(Credentials::new("token", Secret::from("t")));
    web.count();
    let (connection, request) = web.asked("w");
    assert!(!request.contains("X-Original-Principal"), "{request}");
    web.say(connection, "401 Unauthorized", "", "");
    let (connection, request) = web.asked("w");
    assert!(request.contains(NAMED), "{request}");
    web.say(connection, "200 OK", "", r#"{"partitions":4}"#);
    assert_eq!(web.counted(), Ok(4));
    web.count();
    let (connection, request) = web.asked("w");
    assert!(request.contains(NAMED), "{request}");
    web.say(connection, "403 Forbidden", "", "");
    assert_eq!(
        web.counted().map_err(|error| error.kind),
        Err(ErrorKind::Unauthorized)
    );
}

#[test]
fn a_refusal_that_the_principal_does_not_mend_is_the_answer() {
    let mut web = Web::new(&["w"]);
    web.world.credentials = Ok(Credentials::new("token", Secret::from("t")));
    for _ in 0..2 {
        web.count();
        for is_named in [false, true] {
            let (connection, request) = web.asked("w");
            assert_eq!(request.contains("X-Original-Principal"), is_named);
            web.say(connection, "401 Unauthorized", "", "");
        }
        let answer = web.counted().map_err(|error| error.kind);
        assert_eq!(answer, Err(ErrorKind::Unauthenticated));
    }
}

#[test]
fn who_does_not_answer_in_http_is_told_with_its_address() {
    // What a port with TLS says, and one that closes without a word.
    for answer in [&b"\x15\x03\x03\x00\x02\x02\x50\r\n\r\n"[..], b""] {
        let mut web = Web::new(&["w"]);
        web.count();
        let (connection, _) = web.asked("w");
        match answer {
            b"" => web.world.lose(connection),
            answer => drop(web.world.say_bytes(connection, answer)),
        }
        let [(address, _)] = &web.world.no_brokers[..] else {
            panic!("{:?}", web.world.no_brokers);
        };
        assert_eq!(address, "w:8080");
    }
}

#[test]
fn a_web_service_that_wants_credentials_is_told_as_a_broker_that_does() {
    let mut web = Web::new(&["w"]);
    web.count();
    let (connection, _) = web.asked("w");
    web.say(connection, "401 Unauthorized", "", "");
    match web.world.event() {
        Event::Refused {
            principal: Principal::GATEWAY,
            broker,
            error,
        } => {
            assert_eq!(broker, "w:8080");
            assert_eq!(error.kind, ErrorKind::Unauthenticated);
        }
        other => panic!("{other:?}"),
    }
    assert!(web.counted().is_err());
}
