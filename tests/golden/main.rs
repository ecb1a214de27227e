//! Conversations of clients with the Java gateway, held again with this one: handshakes, frames and close codes are
//! compared word for word.
//!
//! | file | what is in it |
//! |---|---|
//! | `conversations/*.txt` | what clients say, and what the Java gateway 4.0.8 answers (recorded from it) |
//! | `differences.txt` | every answer that is another one here, under the row of README's table that says why |
//! | `script` | reads both |
//! | `peer` | a client that reports whatever happens instead of failing |
//! | `refusal` | what a refusal says, also where it is a page |
//! | `player` | holds one conversation with one gateway |
//! | `normal` | the rules by which answers of two runs become equal |
//! | `compare` | answers against records and differences |
//!
//! On the embedded broker this gateway is held against the records. With `PWS_TEST_BROKER` and `PWS_TEST_ADMIN` (a real
//! Pulsar, whose web port serves the Java gateway) the Java gateway talks too, and must answer as recorded. Files with a
//! line `with key=value…` need a gateway with these settings: the Java side of `limits.txt` is
//! `PWS_TEST_JAVA_LIMITS=host:port` (`tests/pulsar/pulsar.sh gateway` starts one), and does not talk without that.
//!
//! `PWS_GOLDEN_RECORD=1` writes what the Java gateway answers into the files instead of comparing with it;
//! `PWS_GOLDEN_ONLY=text` plays only conversations with that text in `file / title`.

#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "this test needs a part of it")]
mod support;

mod compare;
mod normal;
mod peer;
mod player;
mod refusal;
mod script;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use compare::Report;
use player::{Answers, Side};
use script::{Conversation, Differences, File};
use support::World;

/// Conversations held at a time: most of their time they wait.
const AT_A_TIME: usize = 24;

#[test]
fn every_answer_is_the_java_gateways_or_a_named_difference() {
    let mut files = script::read_files();
    let differences = Differences::read();
    let mut report = Report::default();
    report.differences_are_in_the_readme(&differences);
    for settings in settings_of(&files) {
        let group: Vec<usize> = (0..files.len())
            .filter(|place| files[*place].settings == settings)
            .collect();
        play_group(&mut files, &group, &settings, &differences, &mut report);
    }
    report.end(&differences);
}

fn settings_of(files: &[File]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = files.iter().map(|file| file.settings.clone()).collect();
    all.sort();
    all.dedup();
    all
}

/// Plays the files of one set of settings, on one gateway of ours and the Java gateway that has them.
fn play_group(
    files: &mut [File],
    group: &[usize],
    settings: &[String],
    differences: &Differences,
    report: &mut Report,
) {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let world = World::with(&settings);
    let real = std::env::var("PWS_TEST_BROKER").is_ok();
    let java = java_gateway(match settings[..] {
        [] => None,
        _ => Some(&files[group[0]].name),
    });
    let only = std::env::var("PWS_GOLDEN_ONLY").unwrap_or_default();
    let wanted = |file: &File, conversation: &Conversation| {
        (real || !conversation.needs_pulsar)
            && format!("{} / {}", file.name, conversation.title).contains(&only)
    };
    let mut tasks = Vec::new();
    for place in group {
        let file = &files[*place];
        for (number, conversation) in file.conversations.iter().enumerate() {
            if wanted(file, conversation) {
                tasks.push((*place, number, Side::Here, world.address()));
                tasks.extend(java.map(|java| (*place, number, Side::Java, java)));
            }
        }
    }
    let answers = play_all(&world, files, &tasks);
    for place in group {
        let file = &mut files[*place];
        for (number, conversation) in file.conversations.iter_mut().enumerate() {
            let answer = |side| answers.get(&(*place, number, side));
            if let Some(java) = answer(Side::Java) {
                report.java(&file.name, conversation, java);
            }
            if let Some(here) = answer(Side::Here) {
                report.here(&file.name, conversation, here, differences);
            }
        }
        file.write_records();
    }
}

/// The one inside Pulsar, or the one with the settings of that file.
fn java_gateway(file: Option<&str>) -> Option<SocketAddr> {
    let name = match file {
        Some(file) => format!("PWS_TEST_JAVA_{}", file.to_uppercase()),
        None => "PWS_TEST_ADMIN".to_owned(),
    };
    let text = std::env::var(name).ok()?;
    let text = text.trim_start_matches("http://").trim_end_matches('/');
    Some(text.parse().expect("host:port"))
}

type Task = (usize, usize, Side, SocketAddr);

fn play_all(
    world: &World,
    files: &[File],
    tasks: &[Task],
) -> BTreeMap<(usize, usize, Side), Answers> {
    let answers = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((file, number, side, address)) =
                    tasks.get(next.fetch_add(1, Ordering::Relaxed)).copied()
                {
                    let conversation = &files[file].conversations[number];
                    let played = player::play(world, conversation, side, address);
                    let mut answers = answers.lock().expect("no player panics");
                    answers.insert((file, number, side), played);
                }
            });
        }
    });
    answers.into_inner().expect("no player panics")
}
