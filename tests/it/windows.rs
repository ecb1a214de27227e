//! How much a consumer socket is sent: the push window, and permits in pull mode.
//!
//! Set-up: more messages than the window takes. Claim: exactly as many come as are allowed, and what frees the window
//! is what `ConsumerHandler` of Java counts.

use serde_json::{Value, json};

use crate::support::{World, eventually, number, topic};

/// A well-formed message id that no topic has: ledger 2^40.
const UNKNOWN_ID: &str = "CICAgICAIBAAMAA=";

fn publish_numbers(world: &World, name: &str, count: usize) {
    let mut producer = world.producer(name);
    for n in 0..count {
        producer.publish(&n.to_string());
    }
}

#[test]
fn a_window_of_n_holds_n_messages_and_each_ack_frees_one() {
    let world = World::start();
    // 0 counts as 1.
    for (size, window) in [(1, 1), (2, 2), (0, 1), (7, 7)] {
        let name = topic("push");
        let mut consumer = world.consumer(&name, &format!("sub?receiverQueueSize={size}"));
        publish_numbers(&world, &name, 20);
        let mut held: Vec<Value> = (0..window).map(|_| consumer.json()).collect();
        assert!(consumer.is_silent(), "window {size}");
        for next in window..20 {
            // Not the oldest: any of them frees a place.
            let settled = held.remove(next % window);
            consumer.ack(&settled);
            let message = consumer.json();
            assert_eq!(number(&message), next);
            held.push(message);
        }
    }
}

#[test]
fn a_negative_ack_frees_one_too() {
    let world = World::start();
    let name = topic("nack-frees");
    let mut consumer = world.consumer(&name, "sub?subscriptionType=Shared&receiverQueueSize=1");
    publish_numbers(&world, &name, 3);
    for next in 0..3 {
        let message = consumer.json();
        assert_eq!(number(&message), next);
        consumer.nack(&message);
    }
    assert!(consumer.is_silent());
}

#[test]
fn an_ack_for_an_id_that_it_never_got_frees_one_and_never_below_zero() {
    let world = World::start();
    let name = topic("unknown");
    let mut consumer = world.consumer(&name, "sub?receiverQueueSize=2");
    // Nothing is held: these free nothing that would let a third message come later.
    for kind in ["", "negativeAcknowledge", "weird"] {
        consumer.send_json(json!({ "type": kind, "messageId": UNKNOWN_ID }));
    }
    publish_numbers(&world, &name, 6);
    assert_eq!([number(&consumer.json()), number(&consumer.json())], [0, 1]);
    assert!(consumer.is_silent());
    consumer.send_json(json!({ "messageId": UNKNOWN_ID }));
    assert_eq!(number(&consumer.json()), 2);
    assert!(consumer.is_silent());
    consumer.send_json(json!({ "type": "negativeAcknowledge", "messageId": UNKNOWN_ID }));
    assert_eq!(number(&consumer.json()), 3);
    assert!(consumer.is_silent());
    consumer.close();
    // Nothing of that was an ack of anything.
    let mut again = world.consumer(&name, "sub");
    for n in 0..6 {
        assert_eq!(number(&again.json()), n);
    }
}

#[test]
fn acks_of_the_same_message_again_free_one_each() {
    let world = World::start();
    let name = topic("again");
    let mut consumer = world.consumer(&name, "sub?receiverQueueSize=2");
    publish_numbers(&world, &name, 5);
    let first = consumer.json();
    assert_eq!(number(&consumer.json()), 1);
    consumer.ack(&first);
    assert_eq!(number(&consumer.json()), 2);
    consumer.ack(&first);
    assert_eq!(number(&consumer.json()), 3);
    assert!(consumer.is_silent());
}

#[test]
fn permits_add_up_and_none_is_sent_without() {
    let world = World::start();
    let name = topic("pull");
    let mut consumer = world.consumer(&name, "sub?pullMode=true");
    publish_numbers(&world, &name, 12);
    assert!(consumer.is_silent());
    consumer.permit(2);
    assert_eq!([number(&consumer.json()), number(&consumer.json())], [0, 1]);
    assert!(consumer.is_silent());
    // 0 and less are ignored.
    consumer.permit(0);
    consumer.permit(-5);
    assert!(consumer.is_silent());
    consumer.permit(1);
    consumer.permit(2);
    for next in 2..5 {
        let message = consumer.json();
        assert_eq!(number(&message), next);
        // In pull mode only permits open the window.
        consumer.ack(&message);
    }
    assert!(consumer.is_silent());
    // Sums stay at Java's largest int.
    consumer.permit(i32::MAX.into());
    consumer.permit(i32::MAX.into());
    for next in 5..12 {
        assert_eq!(number(&consumer.json()), next);
    }
}

#[test]
fn permits_given_before_there_are_messages_count() {
    let world = World::start();
    let name = topic("pull-ahead");
    let mut consumer = world.consumer(&name, "sub?pullMode=true");
    consumer.permit(3);
    publish_numbers(&world, &name, 5);
    for next in 0..3 {
        assert_eq!(number(&consumer.json()), next);
    }
    assert!(consumer.is_silent());
}

#[test]
fn permits_in_push_mode_change_nothing() {
    let world = World::start();
    let name = topic("push-permit");
    let mut consumer = world.consumer(&name, "sub?receiverQueueSize=1");
    publish_numbers(&world, &name, 2);
    assert_eq!(number(&consumer.json()), 0);
    consumer.permit(5);
    assert!(consumer.is_silent());
}

#[test]
fn an_ack_on_another_socket_of_the_subscription_counts() {
    let world = World::start();
    for pull in ["", "&pullMode=true"] {
        let name = topic("elsewhere");
        let query = format!("sub?subscriptionType=Shared&receiverQueueSize=10{pull}");
        let mut first = world.consumer(&name, &query);
        publish_numbers(&world, &name, 5);
        first.permit(5);
        let messages: Vec<Value> = (0..5).map(|_| first.json()).collect();
        let mut second = world.consumer(&name, &query);
        second.permit(5);
        for message in &messages {
            second.ack(message);
        }
        let backlog = || world.backlog(&name, "sub");
        eventually("all are acked", || backlog() == 0);
        first.close();
        assert!(second.is_silent(), "{pull}");
    }
}
