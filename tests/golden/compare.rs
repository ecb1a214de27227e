//! Answers against the records and the named differences.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::player::Answers;
use crate::script::{Conversation, Difference, Differences, recording};

#[derive(Default)]
pub struct Report {
    conversations: usize,
    steps: usize,
    /// Places of differences that have been met.
    met: BTreeSet<String>,
    /// Places that have been played.
    played: BTreeSet<String>,
    failures: Vec<String>,
}

impl Report {
    /// Every heading is a row of README's table, so that a client's author finds it there.
    pub fn differences_are_in_the_readme(&mut self, differences: &Differences) {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
        let readme = readme.expect("a text file");
        let rows: BTreeSet<&str> = differences.0.iter().map(|of| of.row.as_str()).collect();
        for row in rows {
            if !readme.contains(&format!("| {row} |\n")) {
                self.failures
                    .push(format!("README's table has no row | {row} |\n"));
            }
        }
    }

    /// The Java gateway answers as recorded, or is recorded.
    pub fn java(&mut self, file: &str, conversation: &mut Conversation, answers: &Answers) {
        for (number, (step, answer)) in conversation.steps.iter_mut().zip(answers).enumerate() {
            if recording() {
                step.java.clone_from(answer);
            } else if step.java != *answer {
                self.failures.push(format!(
                    "the Java gateway answers otherwise than recorded\n{}",
                    Difference {
                        row: String::new(),
                        place: place(file, conversation.title.as_str(), number),
                        step: step.text.clone(),
                        java: step.java.clone(),
                        here: answer.clone(),
                    }
                    .to_string()
                    .replace("\nhere: ", "\nnow:  ")
                ));
            }
        }
    }

    /// This gateway answers as the Java gateway, or as the difference says.
    pub fn here(
        &mut self,
        file: &str,
        conversation: &Conversation,
        answers: &Answers,
        differences: &Differences,
    ) {
        self.conversations += 1;
        for (number, (step, here)) in conversation.steps.iter().zip(answers).enumerate() {
            self.steps += 1;
            let place = place(file, &conversation.title, number);
            let named = differences.at(&place);
            self.played.insert(place.clone());
            let found = Difference {
                row: String::new(),
                place: place.clone(),
                step: step.text.clone(),
                java: step.java.clone(),
                here: here.clone(),
            };
            match named {
                Some(named)
                    if named.here == *here
                        && named.java == step.java
                        && named.step == step.text =>
                {
                    self.met.insert(place);
                }
                None if step.java == *here => {}
                Some(named) => {
                    self.met.insert(place);
                    self.failures
                        .push(format!("named otherwise\n{named}but it is\n{found}"));
                }
                None => self
                    .failures
                    .push(format!("a difference without a name\n{found}")),
            }
        }
    }

    /// Panics with all that was found.
    pub fn end(self, differences: &Differences) {
        let mut text = String::new();
        for failure in &self.failures {
            let _ = writeln!(text, "{failure}");
        }
        let is_whole = std::env::var_os("PWS_GOLDEN_ONLY").is_none();
        for named in &differences.0 {
            let is_gone = !self.met.contains(&named.place);
            // What needs a real Pulsar is not played without one.
            let was_played = self.played.contains(&named.place)
                || std::env::var_os("PWS_TEST_BROKER").is_some() && is_whole;
            if is_gone && was_played {
                let _ = writeln!(text, "a named difference that is none\n{named}");
            }
        }
        println!(
            "{} conversations, {} steps, {} differences",
            self.conversations,
            self.steps,
            self.met.len()
        );
        assert!(text.is_empty(), "\n{text}");
    }
}

fn place(file: &str, title: &str, step: usize) -> String {
    format!("{file} / {title} / {}", step + 1)
}
