//! The `pulsar` crate's client against the running broker: an independent peer on real sockets.
//! It acks without waiting and knows neither redelivery counts nor ack sets; these are tested on the core.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ::pulsar::consumer::{DeadLetterPolicy, InitialPosition, Message};
use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{BaseCommand, CommandConnect};
use ::pulsar::{
    Consumer, ConsumerOptions, Error, Executor, Producer, Pulsar, SubType, TokioExecutor,
};
use futures::TryStreamExt;
use prost::Message as _;

use super::{Embedded, Options, start};

type Client = Pulsar<TokioExecutor>;

/// Long enough for a busy machine; only a failure waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

async fn client(broker: &Embedded) -> Client {
    Pulsar::builder(broker.service_url(), TokioExecutor)
        .build()
        .await
        .unwrap()
}

async fn producer(client: &Client, topic: &str) -> Producer<TokioExecutor> {
    client.producer().with_topic(topic).build().await.unwrap()
}

async fn consumer(client: &Client, topic: &str, kind: SubType) -> Consumer<String, TokioExecutor> {
    let options = ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
    client
        .consumer()
        .with_topic(topic)
        .with_subscription("s")
        .with_subscription_type(kind)
        .with_options(options)
        .build()
        .await
        .unwrap()
}

async fn publish(producer: &mut Producer<TokioExecutor>, count: usize) {
    let mut receipts = Vec::new();
    for n in 0..count {
        let payload = format!("m{n}");
        receipts.push(producer.send_non_blocking(payload).await.unwrap());
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

async fn next<Exe: Executor>(consumer: &mut Consumer<String, Exe>) -> Message<String> {
    tokio::time::timeout(PATIENCE, consumer.try_next())
        .await
        .expect("no message came")
        .unwrap()
        .unwrap()
}

/// Until the broker's own numbers are as wanted.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let asked = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, asked).await.is_ok(),
        "{what}"
    );
}

#[tokio::test]
async fn an_exclusive_consumer_gets_everything_in_order() {
    let broker = start(Options::default()).unwrap();
    let client = client(&broker).await;
    let mut producer = producer(&client, "t").await;
    publish(&mut producer, 50).await;
    let mut consumer = consumer(&client, "t", SubType::Exclusive).await;
    for n in 0..50 {
        let message = next(&mut consumer).await;
        assert_eq!(message.deserialize().unwrap(), format!("m{n}"));
        consumer.ack(&message).await.unwrap();
    }
    eventually("all is acked", || {
        broker.admin().stats("t").unwrap().subscriptions[0].backlog == 0
    })
    .await;
    broker.stop();
}

#[tokio::test]
async fn a_second_exclusive_consumer_is_refused_with_the_brokers_text() {
    let broker = start(Options::default()).unwrap();
    let client = client(&broker).await;
    let _first = consumer(&client, "t", SubType::Exclusive).await;
    let impatient = Pulsar::builder(broker.service_url(), TokioExecutor)
        .with_operation_retry_options(::pulsar::OperationRetryOptions {
            max_retries: Some(0),
            ..Default::default()
        })
        .build()
        .await
        .unwrap();
    let second: Result<Consumer<String, _>, Error> = impatient
        .consumer()
        .with_topic("t")
        .with_subscription("s")
        .with_subscription_type(SubType::Exclusive)
        .build()
        .await;
    let text = format!("{}", second.err().expect("refused"));
    assert!(
        text.contains("Exclusive consumer is already connected"),
        "{text}"
    );
}

#[tokio::test]
async fn shared_consumers_divide_what_comes_and_take_over() {
    let broker = start(Options::default()).unwrap();
    let client = client(&broker).await;
    let mut first = consumer(&client, "t", SubType::Shared).await;
    let mut second = consumer(&client, "t", SubType::Shared).await;
    let mut producer = producer(&client, "t").await;
    publish(&mut producer, 100).await;
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..10 {
        let message = next(&mut first).await;
        first.ack(&message).await.unwrap();
        seen.push(message.deserialize().unwrap());
    }
    eventually("ten are acked", || {
        broker.admin().stats("t").unwrap().subscriptions[0].backlog == 90
    })
    .await;
    first.close().await.unwrap();
    drop(first);
    while seen.len() < 100 {
        let message = next(&mut second).await;
        second.ack(&message).await.unwrap();
        seen.push(message.deserialize().unwrap());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100);
}

#[tokio::test]
async fn a_nacked_message_comes_again_until_it_is_dead() {
    let broker = start(Options::default()).unwrap();
    let client = client(&broker).await;
    let mut consumer: Consumer<String, _> = client
        .consumer()
        .with_topic("t")
        .with_subscription("s")
        .with_subscription_type(SubType::Shared)
        .with_dead_letter_policy(DeadLetterPolicy {
            max_redeliver_count: 2,
            dead_letter_topic: "t-dead".into(),
        })
        .build()
        .await
        .unwrap();
    let mut producer = producer(&client, "t").await;
    publish(&mut producer, 1).await;
    // The crate counts what the broker says: after two redeliveries the message goes to the dead-letter topic.
    for _ in 0..2 {
        let message = next(&mut consumer).await;
        consumer.nack(&message).await.unwrap();
    }
    eventually("it was given up", || {
        let dead = broker.admin().stats("t-dead");
        dead.is_some_and(|topic| topic.published_entries == 1)
    })
    .await;
}

#[tokio::test]
async fn a_reader_begins_where_it_wants() {
    let broker = start(Options::default()).unwrap();
    let client = client(&broker).await;
    let mut producer = producer(&client, "t").await;
    publish(&mut producer, 3).await;
    let options = ConsumerOptions::default().starting_on_message(::pulsar::proto::MessageIdData {
        ledger_id: 1,
        entry_id: 1,
        ..Default::default()
    });
    let reader: ::pulsar::reader::Reader<String, _> = client
        .reader()
        .with_topic("t")
        .with_options(options)
        .into_reader()
        .await
        .unwrap();
    let messages = reader.try_collect::<Vec<_>>();
    tokio::pin!(messages);
    // It never ends: what matters is where it began.
    let early = tokio::time::timeout(Duration::from_millis(200), &mut messages).await;
    assert!(early.is_err());
    let stats = broker.admin().stats("t").unwrap();
    assert_eq!(stats.subscriptions.len(), 1);
    assert!(!stats.subscriptions[0].durable);
    assert!(stats.subscriptions[0].backlog <= 2);
}

#[tokio::test]
async fn a_partitioned_topic_is_used_through_its_partitions() {
    let broker = start(Options::default()).unwrap();
    broker.admin().create_partitioned_topic("p", 3).unwrap();
    let client = client(&broker).await;
    let mut consumer = consumer(&client, "p", SubType::Exclusive).await;
    let mut producer = producer(&client, "p").await;
    publish(&mut producer, 30).await;
    for _ in 0..30 {
        let message = next(&mut consumer).await;
        consumer.ack(&message).await.unwrap();
    }
    for n in 0..3 {
        let stats = broker.admin().stats(&format!("p-partition-{n}")).unwrap();
        assert_eq!(stats.published_entries, 10);
    }
}

#[tokio::test]
async fn clients_come_back_after_a_cut_an_unload_and_a_restart() {
    let broker = start(Options::default()).unwrap();
    let client = client(&broker).await;
    let mut consumer = consumer(&client, "t", SubType::Exclusive).await;
    let mut producer = producer(&client, "t").await;
    let faults = broker.faults();
    for turn in 0..3 {
        match turn {
            0 => assert!(faults.drop_connections() >= 1),
            1 => broker.admin().unload("t").unwrap(),
            _ => faults.restart(50),
        }
        let sent = async {
            loop {
                // The crate may fail a send that was under way; a user would repeat it.
                if let Ok(receipt) = producer.send_non_blocking(format!("turn {turn}")).await
                    && receipt.await.is_ok()
                {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, sent).await.expect("sent");
        loop {
            let came = tokio::time::timeout(PATIENCE, consumer.try_next()).await;
            let Ok(Some(message)) = came.expect("no message came") else {
                // The crate's consumer ends when its first reconnection fails; a user would make another.
                consumer = self::consumer(&client, "t", SubType::Exclusive).await;
                continue;
            };
            let text = message.deserialize().unwrap();
            consumer.ack(&message).await.unwrap();
            if text == format!("turn {turn}") {
                break;
            }
        }
    }
}

#[tokio::test]
async fn answers_can_be_late_and_stalls_end() {
    let broker = start(Options::default()).unwrap();
    let client = client(&broker).await;
    let mut producer = producer(&client, "t").await;
    broker.faults().delay_answers(100);
    let before = Instant::now();
    publish(&mut producer, 3).await;
    assert!(before.elapsed() >= Duration::from_millis(100));
    broker.faults().delay_answers(0);
    broker.faults().stall(true);
    let receipt = producer.send_non_blocking("late".to_owned()).await.unwrap();
    tokio::pin!(receipt);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut receipt).await;
    assert!(early.is_err());
    broker.faults().stall(false);
    tokio::time::timeout(PATIENCE, receipt)
        .await
        .unwrap()
        .unwrap();
}

#[test]
fn stopping_closes_the_port_and_every_connection() {
    let broker = start(Options::default()).unwrap();
    let address = broker.address();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    while broker.admin().connections() == 0 {
        std::thread::yield_now();
    }
    broker.stop();
    assert_eq!(connection.read(&mut [0; 1]).unwrap(), 0);
    // The accepting thread may take another moment to let go of the port.
    let stopped = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(stopped.elapsed() < PATIENCE, "the port is still open");
        std::thread::yield_now();
    }
}

/// The thread that reads ended the connection before the one that writes had written.
#[test]
fn who_is_cut_has_been_told_why() {
    let broker = start(Options::default()).unwrap();
    broker.faults().require_token(Some("right"));
    let connect = BaseCommand {
        r#type: Type::Connect as i32,
        connect: Some(CommandConnect {
            client_version: "test".to_owned(),
            ..CommandConnect::default()
        }),
        ..BaseCommand::default()
    };
    // A frame: two lengths in front of the command.
    let command = connect.encode_to_vec();
    let length = command.len() as u32;
    let lengths = [(length + 4).to_be_bytes(), length.to_be_bytes()].concat();
    for _ in 0..100 {
        let mut connection = TcpStream::connect(broker.address()).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection
            .write_all(&[&lengths[..], &command].concat())
            .unwrap();
        let mut told = Vec::new();
        connection.read_to_end(&mut told).unwrap();
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("Failed to authenticate"), "{told}");
    }
}

#[test]
fn a_client_that_talks_nonsense_is_cut() {
    let broker = start(Options::default()).unwrap();
    let mut connection = TcpStream::connect(broker.address()).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(matches!(connection.read(&mut [0; 1]), Ok(0) | Err(_)));
}
