//! What a multi-topic consumer asks for: `topics` or `topicsPattern` (Java's `MultiTopicConsumerHandler`, `ConsumerBuilderImpl`
//! and `MultiTopicsConsumerImpl`). What Java answers with a 500 there is a 400 here, in the same words.

use std::collections::BTreeSet;

use super::topic::is_blank;
use super::{Query, Refusal, TopicName};
use crate::pulsar::PatternText;

/// Topics that one consumer may name: each is an upstream consumer, a question for its partitions and a place in what is
/// kept for as long as the socket is open. Java has no bound but its request head of 8 KiB, which holds some 270 full names.
const TOPICS_MAX: usize = 1_000;

/// The topics of one consumer.
#[derive(Clone, Debug)]
pub enum TopicSet {
    /// In order, each once; never empty.
    Named(Vec<TopicName>),
    Pattern(PatternText),
}

impl TopicSet {
    /// And the topic that Java names things after: the first one, or the pattern read as a name.
    pub fn parse(query: &Query) -> Result<(TopicName, TopicSet), Refusal> {
        match (query.get("topics"), query.get("topicsPattern")) {
            (None, None) => Err(Refusal::new(400, "Should set topics or topicsPattern")),
            (Some(_), Some(_)) => Err(Refusal::new(
                400,
                "Topics must be null when use topicsPattern",
            )),
            (Some(topics), None) => named(topics),
            (None, Some(pattern)) => by_pattern(pattern),
        }
    }
}

fn named(topics: &str) -> Result<(TopicName, TopicSet), Refusal> {
    let first = topics.split(',').next().unwrap_or_default();
    let first = TopicName::parse(first).map_err(|text| Refusal::new(400, text))?;
    if topics.split(',').nth(TOPICS_MAX).is_some() {
        return Err(Refusal::new(400, TOO_MANY));
    }
    if topics.split(',').any(is_blank) {
        return Err(Refusal::invalid_params(
            "topicNames cannot have blank topic",
        ));
    }
    let texts: BTreeSet<&str> = topics.split(',').map(trim).collect();
    let mut names = BTreeSet::new();
    for text in &texts {
        let name = TopicName::parse(text).map_err(|_| duplicate_or_invalid())?;
        if !names.insert(name) {
            return Err(duplicate_or_invalid());
        }
    }
    Ok((first, TopicSet::Named(names.into_iter().collect())))
}

const TOO_MANY: &str = "More than 1000 topics: take a topicsPattern, or several consumers";

/// One topic under two names is Java's mistake to make, too.
fn duplicate_or_invalid() -> Refusal {
    Refusal::invalid_params("Subscription topics include duplicate items or invalid names.")
}

/// Java's `String.trim`.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

fn by_pattern(text: &str) -> Result<(TopicName, TopicSet), Refusal> {
    let name = TopicName::parse(text).map_err(|text| Refusal::new(400, text))?;
    let pattern = PatternText::new(text, name.namespace());
    Ok((name, TopicSet::Pattern(pattern)))
}
