//! The ways to a cluster, on a real Pulsar with a ZooKeeper and a proxy of the run's own: the guide's three keys in a
//! `websocket.conf`, the proxy's binary port, its web port, and a stream through the proxy while the broker lets go of a
//! namespace and of a topic, and is killed.

use std::path::PathBuf;

use crate::pulsar::Pulsar;
use crate::support::flow::Flow;
use crate::support::process::{Gateway, program};
use crate::support::{Client, World, topic};

const BACKOFF: &str = "brokerClient_maxBackoffIntervalNanos=1000000000";

pub fn run() {
    let pulsar = Pulsar::start_with_zookeeper("long-finding");
    by_zookeeper(&pulsar);
    println!("ZooKeeper: a gateway with the guide's three keys publishes and receives");
    by_zookeeper_in_vain(&pulsar);
    println!("ZooKeeper: a cluster that is not there is named, with those that are");
    pulsar.start_proxy();
    by_proxy(&pulsar);
    println!("proxy: every kind of socket works, over its binary and its web port");
    through_proxy(&pulsar);
    println!("proxy: nothing lost or repeated over unloads and a restart of the broker");
}

fn conf(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the folder is there");
    path
}

fn by_zookeeper(pulsar: &Pulsar) {
    let store = pulsar.value("PWS_TEST_ZOOKEEPER");
    for (number, store) in [
        format!("zk:{store}"),
        // The first of the list is not there.
        format!("127.0.0.1:9,{store}"),
    ]
    .iter()
    .enumerate()
    {
        let text = format!(
            "configurationMetadataStoreUrl={store}\nwebServicePort=0\nclusterName=standalone\n"
        );
        let path = conf(&format!("zookeeper-{number}.conf"), &text);
        let gateway = Gateway::start(&["--config", path.to_str().expect("a plain path")]);
        let port = gateway.address().port();
        let address = ([127, 0, 0, 1], port).into();
        let name = topic("zookeeper");
        let open = |path: String| Client::open(address, &path).expect("it opens");
        let base = "persistent/public/default";
        let mut consumer = open(format!("/ws/v2/consumer/{base}/{name}/sub"));
        let mut producer = open(format!("/ws/v2/producer/{base}/{name}"));
        producer.publish("x");
        assert_eq!(consumer.receive(), "x");
    }
}

fn by_zookeeper_in_vain(pulsar: &Pulsar) {
    let store = pulsar.value("PWS_TEST_ZOOKEEPER");
    let text = format!(
        "configurationMetadataStoreUrl={store}\nclusterName=other\nwebServicePort=0\n\
         metadataStoreSessionTimeoutMillis=2000\n"
    );
    let path = conf("zookeeper-in-vain.conf", &text);
    let output = program().arg("--config").arg(path).output();
    let output = output.expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let last = log.lines().last().unwrap_or_default();
    let wanted = "there is no /admin/clusters/other; clusters there: standalone";
    assert!(last.contains(wanted), "{log}");
    // A path behind the hosts is where everything begins.
    let elsewhere = format!("configurationMetadataStoreUrl=zk:{store}/elsewhere");
    let mut program = program();
    program.args(["--set", "clusterName=standalone", "--set", &elsewhere]);
    program.args([
        "--port",
        "0",
        "--set",
        "metadataStoreSessionTimeoutMillis=2000",
    ]);
    let output = program.output().expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("nor /admin/clusters"), "{log}");
}

fn by_proxy(pulsar: &Pulsar) {
    let (_, admin) = pulsar.urls();
    let proxy = pulsar.value("PWS_TEST_PROXY");
    let web = format!("serviceUrl={}", pulsar.value("PWS_TEST_PROXY_WEB"));
    for world in [
        World::on_pulsar(&proxy, &admin, &[]),
        World::on_pulsar("", &admin, &[&web]),
    ] {
        let name = topic("proxied");
        world.admin().create_partitioned(&name, 3);
        for name in [name, topic("proxied-alone")] {
            let mut consumers: Vec<Client> = ["Exclusive", "Shared", "Failover", "Key_Shared"]
                .iter()
                .map(|kind| world.consumer(&name, &format!("{kind}?subscriptionType={kind}")))
                .collect();
            consumers.push(world.reader(&name));
            let mut producer = world.producer(&name);
            producer.publish("x");
            for consumer in &mut consumers {
                assert_eq!(consumer.receive(), "x");
            }
        }
        let missing = world.refused("/ws/v2/producer/persistent/public/nons/t");
        assert_eq!(missing.0, 404, "{missing:?}");
    }
}

fn through_proxy(pulsar: &Pulsar) {
    let (_, admin) = pulsar.urls();
    let world = World::on_pulsar(&pulsar.value("PWS_TEST_PROXY"), &admin, &[BACKOFF]);
    let name = topic("through");
    let mut flow = Flow::start(&world, &name);
    flow.run();
    flow.through(|_| world.admin().unload(&name));
    flow.through(|_| world.admin().unload_namespace("public/default"));
    flow.through(|_| {
        pulsar.kill();
        pulsar.start_again();
    });
    flow.finish(&world);
}
