//! More connections than the gateway may have open files: who merely connects cannot keep it from its brokers.

use std::process::Command;

use super::producer;
use crate::support::Raw;
use crate::support::process::{Gateway, program_with};
use crate::support::raw::upgrade_request;

/// Far fewer than the sockets below, and enough to start with.
const FILES: usize = 110;

#[test]
fn strangers_that_take_every_place_leave_the_gateway_its_broker_connections() {
    let gateway = {
        let wanted = program_with(&["maxHttpServerConnections=200"]);
        let mut program = Command::new("sh");
        program.args(["-c", &format!("ulimit -n {FILES}; exec \"$@\""), "sh"]);
        program.arg(wanted.get_program()).args(wanted.get_args());
        Gateway::start_program(program.env_remove("RUST_LOG"))
    };
    let told = gateway.line_after("maxHttpServerConnections=200");
    assert!(told.contains("ulimit -n"), "{told}");
    let address = gateway.address();
    // None of them has asked for anything: no broker connection is there yet.
    let mut strangers: Vec<_> = (0..FILES).map(|_| Raw::connect(address)).collect();
    let refused = strangers.last_mut().expect("there are some").answer();
    assert_eq!(
        (refused.status, &*refused.body),
        (503, "Too many connections\n")
    );
    let first = &mut strangers[0];
    first.send(upgrade_request(&producer("places")).as_bytes());
    let head = first.http_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}
