//! A shard without a thread: what its machines do with each other within a turn.

use std::sync::Arc;

use super::credential_keeper;
use super::finding::{find_brokers, find_permissions};
use super::life::Equipment;
use super::post::{Join, MemberEvent, Post, SocketId, TailKey};
use super::principals::tests::speaker;
use super::shard::Shard;
use crate::api::{Flow, ReaderParams};
use crate::config::{self, Place, Setting};
use crate::doors::Entrance;
use crate::hub::tests::{TOPIC, entry, hub_spec, id, member_spec};
use crate::hub::{Command, Input, MemberId, Upstream};
use crate::pulsar::client::StartPosition;
use crate::pulsar::{BrokerError, CryptoFailureAction, ErrorKind, SubscriptionType};
use crate::runtime::driver::Driver;
use crate::runtime::mailbox::mailbox;
use crate::runtime::tests::{on_shard, pair};
use crate::runtime::{Socket, oneshot};

pub fn shard() -> Shard {
    shard_with(&[])
}

fn shard_with(settings: &[(&str, &str)]) -> Shard {
    let broker = ("brokerServiceUrl", "pulsar://broker:6650");
    let all = settings
        .iter()
        .chain([&broker])
        .map(|(key, value)| Setting {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            place: Place::Flag("--set"),
        });
    let config = config::load(None, all.collect()).expect("nothing is wrong with it");
    let (source, _) = credential_keeper::open(&config.broker_client).expect("no files");
    let (_, finder) = find_brokers(&config.brokers).expect("one is named");
    let equipment = Equipment {
        entrance: Arc::new(Entrance::new(config.doors.bounds)),
        tls: None,
        finder,
        source,
        questions: None,
        key_keeper: None,
        granted: find_permissions(&config).expect("nobody to ask"),
        config: Arc::new(config),
    };
    let (post, _) = mailbox();
    equipment.shard(0, vec![post])
}

fn member(number: usize) -> MemberId {
    SocketId::new(0, number, 1).member()
}

fn join(number: usize) -> Join {
    join_as(SubscriptionType::Exclusive, number)
}

fn join_as(kind: SubscriptionType, number: usize) -> Join {
    let mut join = Join::private(member(number), hub_spec(kind), member_spec(kind, 10), None);
    join.key.private = None;
    join
}

/// The hub that is there: its topic is not partitioned.
fn counted(shard: &mut Shard) -> usize {
    let (place, _) = shard.hubs.local.iter().next().expect("a hub");
    let hub = shard.hubs.id_of(place);
    shard.hub_partitions(0, hub, TOPIC, Ok(0));
    place
}

fn heard(shard: &mut Shard) -> Vec<(MemberId, MemberEvent)> {
    let posts = shard.local.drain(..);
    let events = posts.filter_map(|post| match post {
        Post::ToMember { member, event } => Some((member, event)),
        _ => None,
    });
    events.collect()
}

fn welcomes(shard: &mut Shard, number: usize) {
    let place = counted(shard);
    shard.hubs.put(place, Input::Upstream(0, Upstream::Ready));
    shard.run_hubs(0);
    let told = heard(shard);
    assert!(matches!(told[..], [(to, MemberEvent::Joined)] if to == member(number)));
}

/// It was seated in the hub that had ended, and waited for ever.
#[test]
fn who_joins_in_the_turn_in_which_the_hub_ends_begins_a_new_one() {
    let mut shard = shard();
    shard.hub_join(0, join(1));
    let place = counted(&mut shard);
    let error = BrokerError {
        kind: ErrorKind::Other,
        message: "no".to_owned(),
    };
    let failed = Upstream::Failed(error);
    shard.hubs.put(place, Input::Upstream(0, failed));
    shard.hub_join(0, join(2));
    let told = heard(&mut shard);
    assert!(matches!(told[..], [(to, MemberEvent::Refused(_))] if to == member(1)));
    welcomes(&mut shard, 2);
}

#[test]
fn who_joins_in_the_turn_in_which_the_subscription_is_deleted_begins_a_new_one() {
    let mut shard = shard();
    shard.hub_join(0, join(1));
    welcomes(&mut shard, 1);
    shard.hub_command(member(1), Command::Unsubscribe);
    shard.run_hubs(0);
    let place = counted(&mut shard);
    let unsubscribed = Upstream::Unsubscribed {
        tag: 1,
        result: Ok(()),
    };
    shard.hubs.put(place, Input::Upstream(0, unsubscribed));
    shard.hub_join(0, join(2));
    welcomes(&mut shard, 2);
}

#[test]
fn an_ack_is_told_to_hubs_of_the_subscription_in_other_names() {
    let mut shard = shard();
    let places = [("a", 1), ("b", 2)].map(|(role, number)| {
        let mut join = join_as(SubscriptionType::Shared, number);
        join.key.speaker = Some(speaker(role, "token", None));
        shard.hub_join(0, join);
        let (place, _) = shard.hubs.local.iter().next_back().expect("a hub");
        let hub = shard.hubs.id_of(place);
        shard.hub_partitions(0, hub, TOPIC, Ok(0));
        shard.hubs.put(place, Input::Upstream(0, Upstream::Ready));
        place
    });
    assert_ne!(places[0], places[1]);
    let given = Upstream::Entry(entry(0, None));
    shard.hubs.put(places[0], Input::Upstream(0, given));
    shard.run_hubs(0);
    assert!(shard.hubs.knows(places[0], &id(0)));
    shard.hub_command(member(2), Command::Ack(id(0)));
    shard.run_hubs(0);
    assert!(!shard.hubs.knows(places[0], &id(0)));
}

/// It stayed among those who are told of new partitions, and the broker was asked for it for ever.
#[test]
fn nobody_asks_about_the_partitions_of_a_hub_that_went_before_they_were_counted() {
    let mut shard = shard();
    for (number, goes) in [(1, false), (2, true)] {
        let mut join = join(number);
        join.key.subscription = number.to_string();
        shard.hub_join(0, join);
        if goes {
            shard.hub_leave(0, member(number));
        }
    }
    let (gone, stays) = (2, 1);
    shard.partitions_answered(0, gone, Ok(3));
    assert_eq!(shard.wheel.next_deadline_ms(), None);
    shard.partitions_answered(0, stays, Ok(3));
    assert!(shard.wheel.next_deadline_ms().is_some());
}

fn reader_params(window: u32, start: StartPosition) -> ReaderParams {
    ReaderParams {
        reader_name: None,
        flow: Flow::Window(window),
        start,
        start_time_ms: None,
        read_compacted: false,
        crypto_failure_action: CryptoFailureAction::Fail,
    }
}

/// A reader of [`TOPIC`] that is to be caught up from the broker, and its upstream reader's place among the hubs.
fn catching_up(shard: &mut Shard, socket: Socket, window: u32) -> (SocketId, usize) {
    let id = shard.open_socket(0, socket).expect("room");
    let key = TailKey {
        topic: TOPIC.into(),
        crypto_failure_action: CryptoFailureAction::Fail,
        speaker: None,
    };
    let params = reader_params(window, StartPosition::Earliest);
    shard.begin_reading(id, key, params);
    shard.settle(0);
    let place = shard.hubs.place_of(id.member()).expect("one of its own");
    let hub = shard.hubs.id_of(place);
    shard.hub_partitions(0, hub, TOPIC, Ok(0));
    (id, place)
}

/// What it handled in the round in which its upstream reader opened counted twice.
#[test]
fn a_reader_has_no_more_messages_unhandled_than_its_window_however_it_is_caught_up() {
    let delivered = on_shard(Driver::Poll, || async {
        let mut shard = shard();
        let (server, _client) = pair();
        let socket = Socket::from_std(server).expect("a socket");
        let (id, place) = catching_up(&mut shard, socket, 5);
        // It had these from the log before it fell off.
        shard.reading(id).expect("a reader").charge(3);
        shard.hubs.put(place, Input::Upstream(0, Upstream::Ready));
        for _ in 0..2 {
            let mut handled = br#"{"messageId":"CAEQAA=="}"#.to_vec();
            shard.reader_frame(id, &mut handled).expect("an ack");
        }
        shard.settle(0);
        for at in 0..10 {
            let given = Upstream::Entry(entry(at, None));
            shard.hubs.put(place, Input::Upstream(0, given));
        }
        shard.settle(0);
        shard.counters.delivered
    });
    assert_eq!(delivered, 4);
}

/// The first one's was everybody's.
#[test]
fn who_reads_compacted_shares_no_upstream_with_who_does_not() {
    let mut shard = shard();
    for (number, read_compacted) in [(1, true), (2, false), (3, true)] {
        let mut join = join_as(SubscriptionType::Failover, number);
        join.hub.read_compacted = read_compacted;
        shard.hub_join(0, join);
    }
    let of = |number| shard.hubs.place_of(member(number));
    assert_ne!(of(1), of(2));
    assert_eq!(of(1), of(3));
}

/// Two sockets, the second of which wants to join what the first one reads when the broker has to be asked about that.
fn waits_for_proof(shard: &mut Shard, now_ms: u64, sockets: [Socket; 2]) -> SocketId {
    let ids = sockets.map(|socket| shard.open_socket(now_ms, socket).expect("room"));
    let params = reader_params(5, StartPosition::Latest);
    shard.begin_reader(ids[0], TOPIC.to_owned(), params.clone());
    shard.settle(0);
    let place = counted(shard);
    shard.hubs.put(place, Input::Upstream(0, Upstream::Ready));
    shard.settle(0);
    shard.admit_reader(now_ms, ids[1], TOPIC.to_owned(), params);
    ids[1]
}

/// It was cut off without an answer.
#[test]
fn the_time_for_a_request_is_over_when_the_broker_is_asked_about_a_right() {
    on_shard(Driver::Poll, || async {
        let mut shard = shard_with(&[
            ("authenticationEnabled", "true"),
            ("tokenSecretKey", "data:;base64,a2V5"),
            ("authorization", "broker"),
        ]);
        // Longer than what a broker says counts.
        let now_ms = 60_000;
        let ends = [pair(), pair()];
        let sockets = ends.each_ref().map(|(server, _)| {
            let server = server.try_clone().expect("a descriptor");
            Socket::from_std(server).expect("a socket")
        });
        let (answer, opened) = oneshot();
        let id = waits_for_proof(&mut shard, now_ms, sockets);
        shard.sockets.get(id).expect("a socket").opening = Some(answer);
        shard.socket_timer(now_ms + shard.config.handshake_timeout_ms, id);
        assert_eq!(shard.counters.handshakes_timed_out, 0);
        assert!(opened.ready().is_none());
        shard.settle(now_ms);
        assert!(opened.ready().is_some_and(|answer| answer.is_ok()));
    });
}
