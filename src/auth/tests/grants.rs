//! When records are read, and what becomes of accesses when they change.

use serde_json::{Value, json};

use super::super::access::{Access, Action, Resource};
use super::super::grants::{BELIEVED_MS, Effect, Grants, Holder, Verdict};
use super::super::records::Record;
use super::super::rules::Rules;
use super::{access, consume};

const TOPIC: &str = "persistent://t/n/topic";
const CACHE_MS: u64 = 30_000;

/// The machine, a clock, and the store that it reads from when it is told to.
struct World {
    grants: Grants,
    now_ms: u64,
    tenant: Option<Value>,
    policies: Option<Value>,
    fails: bool,
    /// Asked and not answered.
    asked: Vec<Resource>,
    reads: usize,
    decided: Vec<(u64, Verdict)>,
}

impl World {
    fn new() -> World {
        let rules = Rules {
            super_user_roles: ["root".to_owned()].into(),
            ..Rules::default()
        };
        World {
            grants: Grants::new(rules, CACHE_MS),
            now_ms: 1_000_000,
            tenant: Some(json!({"adminRoles": ["admin"]})),
            policies: Some(json!({})),
            fails: false,
            asked: Vec::new(),
            reads: 0,
            decided: Vec::new(),
        }
    }

    fn grant(&mut self, role: &str, actions: &[&str]) {
        self.policies = Some(json!({"auth_policies": {"namespace_auth": {role: actions}}}));
    }

    fn run(&mut self, act: impl FnOnce(&mut Grants, u64, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        act(&mut self.grants, self.now_ms, &mut effects);
        for effect in effects {
            match effect {
                Effect::Read(resource) => {
                    self.reads += 1;
                    self.asked.push(resource);
                }
                Effect::Decided(holder, verdict) => self.decided.push((holder.0, verdict)),
            }
        }
    }

    fn ask(&mut self, holder: u64, access: Access) {
        self.run(|grants, now_ms, out| grants.check(now_ms, Holder(holder), access, out));
    }

    fn answer(&mut self) {
        for resource in std::mem::take(&mut self.asked) {
            let value = match &resource {
                Resource::Tenant(_) => self.tenant.clone(),
                Resource::Policies(_) => self.policies.clone(),
                Resource::Clusters => Some(json!([])),
            };
            let record = value.map(|value| {
                Record::parse(&resource, value.to_string().as_bytes()).expect("a record")
            });
            let result = if self.fails { Err(()) } else { Ok(record) };
            self.run(|grants, now_ms, out| grants.answered(now_ms, &resource, result, out));
        }
    }

    /// The verdict on an access, when all that it takes has been read.
    fn verdict(&mut self, holder: u64, access: Access) -> Verdict {
        self.ask(holder, access);
        while !self.asked.is_empty() {
            self.answer();
        }
        let (whose, verdict) = self.decided.pop().expect("a verdict");
        assert_eq!((whose, self.decided.len()), (holder, 0));
        verdict
    }

    fn pass(&mut self, time_ms: u64) {
        let end_ms = self.now_ms + time_ms;
        while let Some(due_ms) = self.grants.next_deadline_ms().filter(|due| *due <= end_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            if due_ms == 0 {
                break;
            }
            self.run(Grants::tick);
            self.answer();
        }
        self.now_ms = end_ms;
    }

    fn revoked(&mut self) -> Vec<u64> {
        let revoked = self.grants.take_revoked(usize::MAX);
        revoked.into_iter().map(|holder| holder.0).collect()
    }
}

fn produce(role: &str) -> Access {
    access(role, TOPIC, Action::Produce)
}

#[test]
fn records_are_read_once_for_all_who_ask() {
    let mut world = World::new();
    world.grant("p", &["produce"]);
    for holder in 0..10 {
        world.ask(holder, produce("p"));
    }
    assert_eq!(world.asked.len(), 2, "the tenant and the namespace");
    assert_eq!(world.decided, []);
    world.answer();
    assert_eq!(world.decided.len(), 10);
    assert!(world.decided.iter().all(|(_, v)| *v == Verdict::Granted));
    world.decided.clear();
    // Known by now.
    assert_eq!(world.verdict(10, produce("p")), Verdict::Granted);
    assert_eq!(world.verdict(11, produce("root")), Verdict::Granted);
    assert_eq!(world.reads, 2);
}

#[test]
fn a_refusal_is_not_believed_to_an_old_record() {
    let mut world = World::new();
    assert_eq!(world.verdict(1, produce("p")), Verdict::Refused);
    assert_eq!(world.reads, 2);
    // At once again: nothing is read for it.
    assert_eq!(world.verdict(2, produce("p")), Verdict::Refused);
    assert_eq!(world.reads, 2);
    world.pass(BELIEVED_MS);
    world.grant("p", &["produce"]);
    assert_eq!(world.verdict(3, produce("p")), Verdict::Granted);
    assert_eq!(world.reads, 4);
}

#[test]
fn what_is_taken_back_ends_within_the_cache_time_for_its_holders_alone() {
    let mut world = World::new();
    world.policies = Some(json!({"auth_policies": {
        "namespace_auth": {"a": ["produce"], "b": ["produce", "consume"]},
    }}));
    for holder in 1..=3 {
        assert_eq!(world.verdict(holder, produce("a")), Verdict::Granted);
    }
    assert_eq!(world.verdict(4, produce("b")), Verdict::Granted);
    let consuming = access("b", TOPIC, consume("s"));
    assert_eq!(world.verdict(5, consuming), Verdict::Granted);
    assert_eq!(world.verdict(6, produce("root")), Verdict::Granted);
    world.grants.gone(Holder(2));
    world.grant("b", &["produce"]);
    world.pass(CACHE_MS);
    let mut revoked = world.revoked();
    revoked.sort_unstable();
    assert_eq!(revoked, [1, 3, 5]);
    // A tenant's administrator lives on the tenant.
    assert_eq!(world.verdict(7, produce("admin")), Verdict::Granted);
    world.tenant = Some(json!({}));
    world.pass(CACHE_MS);
    assert_eq!(world.revoked(), [7]);
    // All of it is gone.
    world.policies = None;
    world.pass(CACHE_MS);
    assert_eq!(world.revoked(), [4]);
}

#[test]
fn records_that_nobody_lives_on_are_not_read_again() {
    let mut world = World::new();
    world.grant("p", &["produce"]);
    world.verdict(1, produce("p"));
    world.pass(CACHE_MS);
    assert!(world.reads > 2);
    world.grants.gone(Holder(1));
    let reads = world.reads;
    world.pass(10 * CACHE_MS);
    assert_eq!(world.reads, reads);
    assert_eq!(world.grants.next_deadline_ms(), None);
    // They are too old by then.
    world.policies = None;
    assert_eq!(world.verdict(2, produce("p")), Verdict::Refused);
}

#[test]
fn what_cannot_be_read_grants_nothing_and_takes_nothing() {
    let mut world = World::new();
    world.fails = true;
    world.grant("p", &["produce"]);
    assert_eq!(world.verdict(1, produce("p")), Verdict::Unknown);
    assert_eq!(world.verdict(2, produce("p")), Verdict::Unknown);
    assert_eq!(world.reads, 2, "not with every socket");
    world.fails = false;
    world.pass(BELIEVED_MS);
    assert_eq!(world.verdict(3, produce("p")), Verdict::Granted);
    world.fails = true;
    world.policies = None;
    world.pass(5 * CACHE_MS);
    assert!(world.revoked().is_empty());
    assert_eq!(world.verdict(4, produce("p")), Verdict::Unknown);
    // Known again: what was taken back meanwhile ends soon.
    world.fails = false;
    world.pass(BELIEVED_MS);
    assert_eq!(world.revoked(), [3]);
}

#[test]
fn who_has_gone_hears_nothing_and_holds_nothing() {
    let mut world = World::new();
    world.grant("p", &["produce"]);
    world.ask(1, produce("p"));
    world.grants.gone(Holder(1));
    world.answer();
    assert_eq!(world.decided, []);
    assert_eq!(world.grants.next_deadline_ms(), None);
}

/// Each takes two reads.
fn elsewhere(role: &str, number: u64) -> Access {
    let topic = format!("persistent://t{number}/n/topic");
    access(role, &topic, Action::Produce)
}

#[test]
fn a_role_that_names_ever_new_places_waits_for_itself_alone() {
    let mut world = World::new();
    for holder in 0..100 {
        world.ask(holder, elsewhere("stranger", holder));
    }
    assert_eq!(world.asked.len(), 16);
    world.grants.gone(Holder(50));
    world.grant("p", &["produce"]);
    world.ask(100, produce("p"));
    assert_eq!(world.asked.len(), 18);
    // What is being read for somebody else needs no turn.
    world.ask(101, produce("stranger"));
    assert_eq!(world.asked.len(), 18);
    while !world.asked.is_empty() {
        assert!(world.asked.len() <= 18);
        world.answer();
    }
    assert_eq!(world.decided.len(), 101);
    for (holder, verdict) in world.decided {
        let expected = match holder {
            100 => Verdict::Granted,
            _ => Verdict::Refused,
        };
        assert_eq!(verdict, expected, "{holder}");
    }
}

#[test]
fn who_does_not_get_its_turn_is_told_to_come_again() {
    let mut world = World::new();
    let waiting = 8..8 + 1024;
    for holder in 0..waiting.end {
        world.ask(holder, elsewhere("stranger", holder));
    }
    assert_eq!((world.asked.len(), world.decided.len()), (16, 0));
    world.ask(5000, elsewhere("stranger", 5000));
    assert_eq!(world.decided.pop(), Some((5000, Verdict::Busy)));
    // A store that takes this long.
    world.now_ms += 10_000;
    world.answer();
    assert!(world.asked.is_empty());
    for (holder, verdict) in std::mem::take(&mut world.decided) {
        let expected = match waiting.contains(&holder) {
            true => Verdict::Busy,
            false => Verdict::Refused,
        };
        assert_eq!(verdict, expected, "{holder}");
    }
    let again = elsewhere("stranger", 5000);
    assert_eq!(world.verdict(5000, again), Verdict::Refused);
}

/// A topic in each of so many tenants, two reads for each.
fn everywhere(role: &str, tenants: u64) -> Access {
    let rights = (0..tenants).flat_map(|number| elsewhere(role, number).rights);
    Access {
        role: role.into(),
        rights: rights.collect(),
    }
}

/// All reads of one access began at once: whoever named a thousand namespaces held up everybody else's handshakes.
#[test]
fn one_claim_has_no_more_reads_at_a_time_than_many() {
    let mut world = World::new();
    world.grant("p", &["produce"]);
    world.ask(1, everywhere("p", 1_000));
    assert_eq!(world.asked.len(), 16);
    world.ask(2, elsewhere("p", 1_000));
    assert_eq!(world.asked.len(), 16);
    while !world.asked.is_empty() {
        assert!(world.asked.len() <= 16);
        world.answer();
    }
    // The small one has had its turn between those of the large one.
    assert_eq!(
        world.decided,
        [(2, Verdict::Granted), (1, Verdict::Granted)]
    );
    assert_eq!(world.reads, 2_002);
    // What was granted by so many records ends with any of them.
    world.policies = None;
    world.pass(CACHE_MS);
    assert_eq!(world.revoked().len(), 2);
}

#[test]
fn a_claim_that_takes_too_many_reads_is_told_to_come_again_and_goes_on_from_there() {
    let mut world = World::new();
    world.grant("p", &["produce"]);
    world.ask(1, everywhere("p", 1_000));
    while world.decided.is_empty() {
        world.now_ms += 1_000;
        world.answer();
    }
    assert_eq!(world.decided.pop(), Some((1, Verdict::Busy)));
    let reads = world.reads;
    assert!(world.asked.is_empty() && reads > 100);
    assert_eq!(world.verdict(2, everywhere("p", 1_000)), Verdict::Granted);
    assert_eq!(world.reads, 2_000);
}

#[test]
fn a_refusal_that_takes_many_records_reads_all_the_old_ones_again() {
    let mut world = World::new();
    assert_eq!(world.verdict(1, everywhere("p", 20)), Verdict::Refused);
    world.pass(BELIEVED_MS);
    world.grant("p", &["produce"]);
    assert_eq!(world.verdict(2, everywhere("p", 20)), Verdict::Granted);
    assert_eq!(world.reads, 80);
}

#[test]
fn ever_new_names_do_not_grow_the_memory() {
    let mut world = World::new();
    world.grant("p", &["produce"]);
    assert_eq!(world.verdict(0, produce("p")), Verdict::Granted);
    for holder in 1..=20_000 {
        let topic = format!("persistent://t/n{holder}/topic");
        world.policies = None;
        let wanted = access("p", &topic, Action::Produce);
        assert_eq!(world.verdict(holder, wanted), Verdict::Refused);
    }
    assert!(world.grants.records() <= 10_000);
    // What somebody lives on was kept.
    world.grant("p", &["produce"]);
    let reads = world.reads;
    assert_eq!(world.verdict(20_001, produce("p")), Verdict::Granted);
    assert_eq!(world.reads, reads);
}
