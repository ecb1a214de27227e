//! What a connection shows to the broker, when, and in whose name.

use super::*;

fn token(text: &str) -> Credentials {
    Credentials::new("token", text.into())
}

/// As a broker asks for renewed credentials.
fn challenge() -> BaseCommand {
    BaseCommand {
        auth_challenge: Some(proto::CommandAuthChallenge {
            challenge: Some(proto::AuthData {
                auth_method_name: Some("token".to_owned()),
                auth_data: Some(b"PulsarAuthRefresh".to_vec()),
            }),
            ..Default::default()
        }),
        ..base(Type::AuthChallenge)
    }
}

impl World {
    /// A producer is opened, the broker dialled; what CONNECT says.
    fn connect(&mut self, spec: ProducerSpec) -> (ConnectionId, proto::CommandConnect) {
        self.client.open_producer(self.now_ms, spec);
        self.dial(SERVICE)
    }
}

#[test]
fn connect_carries_the_credentials_of_that_moment() {
    let mut world = World::new(config());
    world.credentials = Ok(token("first"));
    let (connection, connect) = world.connect(producer_spec());
    assert_eq!(connect.auth_method_name.as_deref(), Some("token"));
    assert_eq!(connect.auth_data.as_deref(), Some(&b"first"[..]));
    assert_eq!(connect.original_principal, None);
    world.credentials = Ok(token("second"));
    world.lose(connection);
    world.pass(200);
    let (_, connect) = world.dial(SERVICE);
    assert_eq!(connect.auth_data.as_deref(), Some(&b"second"[..]));
    assert_eq!(world.asked, [(Principal::GATEWAY, false); 2]);
}

#[test]
fn without_credentials_the_method_is_none_and_has_no_data() {
    let mut world = World::new(config());
    let (_, connect) = world.connect(producer_spec());
    assert_eq!(connect.auth_method_name.as_deref(), Some("none"));
    assert_eq!(connect.auth_data, None);
}

#[test]
fn a_challenge_is_answered_with_renewed_credentials_and_harms_nothing() {
    let mut world = World::new(config());
    world.credentials = Ok(token("first"));
    let (producer, connection) = world.producer(producer_spec());
    world.credentials = Ok(token("second"));
    world.say(connection, &challenge());
    let said = world.heard(Type::AuthResponse);
    let response = said.command.auth_response.expect("its fields");
    let shown = response.response.expect("credentials");
    assert_eq!(shown.auth_method_name.as_deref(), Some("token"));
    assert_eq!(shown.auth_data.as_deref(), Some(&b"second"[..]));
    let asked = [(Principal::GATEWAY, false), (Principal::GATEWAY, true)];
    assert_eq!(world.asked, asked);
    world.send(producer, 1, b"x");
    world.heard_send();
    // The next one is answered, too.
    world.say(connection, &challenge());
    world.heard(Type::AuthResponse);
}

#[test]
fn a_challenge_before_connected_is_answered() {
    let mut world = World::new(config());
    world.credentials = Ok(token("t"));
    let (connection, _) = world.connect(producer_spec());
    world.say(connection, &challenge());
    world.heard(Type::AuthResponse);
    world.say(connection, &connected(5 * 1024 * 1024));
    world.heard(Type::Lookup);
}

/// The owner takes its time over each answer.
#[test]
fn challenges_are_asked_about_one_at_a_time() {
    let mut world = World::new(config());
    let (_, connection) = world.producer(producer_spec());
    let mut challenges = BytesMut::new();
    for _ in 0..100 {
        challenges.extend_from_slice(&wire::encode_command(&challenge()));
    }
    world
        .client
        .received(world.now_ms, connection, &mut challenges);
    world.asked.clear();
    world.pump();
    assert_eq!(world.asked.len(), 1);
    world.heard(Type::AuthResponse);
    world.heard_nothing();
}

#[test]
fn credentials_that_cannot_be_had_fail_the_opening_with_that_text() {
    let mut world = World::new(config());
    world.credentials = Err(BrokerError {
        kind: ErrorKind::Unauthenticated,
        message: "no token".to_owned(),
    });
    let id = world.client.open_producer(world.now_ms, producer_spec());
    world.pump();
    let (connection, _) = world.dialled.pop_front().expect("dialled");
    world.client.connected(world.now_ms, connection);
    assert!(matches!(
        world.event(),
        Event::ProducerFailed { producer, error } if producer == id && error.message == "no token"
    ));
    assert_eq!(world.closed, [connection]);
    world.heard_nothing();
}

#[test]
fn a_connection_that_works_outlives_credentials_that_cannot_be_renewed() {
    let mut world = World::new(config());
    let (producer, connection) = world.producer(producer_spec());
    world.credentials = Err(BrokerError {
        kind: ErrorKind::Retryable,
        message: "no token".to_owned(),
    });
    world.say(connection, &challenge());
    world.heard_nothing();
    assert!(world.closed.is_empty());
    world.send(producer, 1, b"x");
    world.heard_send();
    world.credentials = Ok(token("t"));
    world.say(connection, &challenge());
    world.heard(Type::AuthResponse);
}

/// `proxyRoles` of the broker: "Invalid roles." without an original principal.
#[test]
fn a_role_that_has_to_name_a_principal_names_javas() {
    let mut world = World::new(config());
    world.credentials = Ok(token("t"));
    let (connection, _) = world.connect(producer_spec());
    let refused = error(
        u64::MAX,
        proto::ServerError::AuthorizationError,
        "Invalid roles.",
    );
    world.say(connection, &refused);
    world.no_event();
    world.pass(200);
    let (connection, connect) = world.dial(SERVICE);
    let named = connect.original_principal.as_deref();
    assert_eq!(named, Some("__websocket_dummy_original_principle"));
    // Refused all the same: that is the answer.
    world.say(connection, &refused);
    assert!(matches!(world.event(), Event::Refused { .. }));
    assert!(matches!(
        world.event(),
        Event::ProducerFailed { error, .. } if error.kind == ErrorKind::Unauthorized
    ));
}

#[test]
fn principals_share_no_connection_and_no_answer() {
    let mut world = World::new(config());
    let other = ProducerSpec {
        principal: Principal(7),
        ..producer_spec()
    };
    let (mine, _) = world.connect(producer_spec());
    let (theirs, _) = world.connect(other);
    assert_ne!(mine, theirs);
    assert_eq!(
        world.asked,
        [(Principal::GATEWAY, false), (Principal(7), false)]
    );
    for connection in [mine, theirs] {
        world.say(connection, &connected(5 * 1024 * 1024));
        let said = world.heard(Type::Lookup);
        assert_eq!(said.connection, connection);
        let request_id = said.command.lookup_topic.expect("a lookup").request_id;
        let connect = proto::command_lookup_topic_response::LookupType::Connect;
        world.say(connection, &lookup_answer(request_id, connect, SERVICE));
        assert_eq!(world.heard_producer().0, connection);
    }
}

/// As a gateway in `proxyRoles` speaks for somebody, whose credentials it forwards.
fn forwarding(theirs: &str) -> Credentials {
    Credentials {
        original: Some(Arc::new(Original {
            principal: "somebody".to_owned(),
            credentials: Some(("basic".into(), theirs.into())),
        })),
        ..token("mine")
    }
}

#[test]
fn an_original_principal_goes_with_its_own_credentials() {
    let mut world = World::new(config());
    world.credentials = Ok(forwarding("their secret"));
    let (_, connect) = world.connect(producer_spec());
    assert_eq!(connect.auth_data.as_deref(), Some(&b"mine"[..]));
    assert_eq!(connect.original_principal.as_deref(), Some("somebody"));
    assert_eq!(connect.original_auth_method.as_deref(), Some("basic"));
    assert_eq!(connect.original_auth_data.as_deref(), Some("their secret"));
}

/// `authenticateOriginalAuthData`: what is asked for again is the principal's.
#[test]
fn a_challenge_is_answered_for_the_original_principal() {
    let mut world = World::new(config());
    world.credentials = Ok(forwarding("first"));
    let (_, connection) = world.producer(producer_spec());
    world.credentials = Ok(forwarding("second"));
    world.say(connection, &challenge());
    let said = world.heard(Type::AuthResponse);
    let response = said.command.auth_response.expect("its fields");
    let shown = response.response.expect("credentials");
    assert_eq!(shown.auth_method_name.as_deref(), Some("basic"));
    assert_eq!(shown.auth_data.as_deref(), Some(&b"second"[..]));
}

/// It would be believed to the gateway's role alone.
#[test]
fn nobody_but_the_gateway_is_called_by_its_name() {
    let mut world = World::new(config());
    let mut named = forwarding("secret");
    named.original = Some(Arc::new(Original {
        principal: "__websocket_dummy_original_principle".to_owned(),
        credentials: None,
    }));
    world.credentials = Ok(named);
    world.client.open_producer(world.now_ms, producer_spec());
    world.pump();
    let (connection, _) = world.dialled.pop_front().expect("dialled");
    world.client.connected(world.now_ms, connection);
    assert!(matches!(
        world.event(),
        Event::ProducerFailed { error, .. } if error.kind == ErrorKind::Unauthorized
    ));
    world.heard_nothing();
}

/// It would forget the name, and everybody would be the gateway to the broker.
#[test]
fn nobody_is_named_to_a_broker_behind_pulsars_proxy() {
    let mut world = World::new(config());
    world.credentials = Ok(forwarding("secret"));
    let (connection, _) = world.connect(producer_spec());
    world.say(connection, &connected(5 * 1024 * 1024));
    let said = world.heard(Type::Lookup);
    let request_id = said.command.lookup_topic.expect("a lookup").request_id;
    let connect = proto::command_lookup_topic_response::LookupType::Connect;
    let mut answer = lookup_answer(request_id, connect, "broker");
    let fields = answer.lookup_topic_response.as_mut().expect("its fields");
    fields.proxy_through_service_url = Some(true);
    world.say(connection, &answer);
    world.pump();
    let (proxied, _) = world.dialled.pop_front().expect("dialled");
    world.client.connected(world.now_ms, proxied);
    assert!(matches!(
        world.event(),
        Event::ProducerFailed { error, .. } if error.kind == ErrorKind::Unauthorized
    ));
    world.heard_nothing();
}
