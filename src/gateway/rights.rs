//! What a request needs the right to.

use super::begin::{Understood, Wanted};
use crate::api::{TopicName, TopicSet};
use crate::auth::access::{Action, Right};
use crate::pulsar::PatternText;

impl Understood {
    /// Never empty.
    pub fn rights(&self) -> Vec<Right> {
        match &self.wanted {
            Wanted::Producer(_) => vec![right(&self.topic, Action::Produce)],
            Wanted::Reader(_) => vec![right(&self.topic, Action::Consume { subscription: None })],
            Wanted::Consumer {
                topics,
                subscription,
                params,
            } => {
                let dead_letters = params.dead_letter.as_ref();
                let dead_letters = dead_letters
                    .and_then(|policy| dead_letter_right(&self.topic, subscription, &policy.topic));
                let mut rights = consumer_rights(topics, subscription);
                rights.extend(dead_letters);
                rights
            }
        }
    }
}

fn consumer_rights(topics: &TopicSet, subscription: &str) -> Vec<Right> {
    match topics {
        TopicSet::Named(names) => {
            let consume = |name: &TopicName| {
                let subscription = Some(subscription.into());
                right(name.as_str(), Action::Consume { subscription })
            };
            names.iter().map(consume).collect()
        }
        TopicSet::Pattern(pattern) => {
            let subscription = subscription.into();
            vec![right(&all_of(pattern), Action::ConsumeAll { subscription })]
        }
    }
}

/// A name in the namespace that the pattern's topics are listed in.
fn all_of(pattern: &PatternText) -> String {
    let domain = match pattern.is_persistent() {
        true => "persistent",
        false => "non-persistent",
    };
    format!("{domain}://{}/*", pattern.namespace())
}

/// The dead-letter topic that a consumer gets without naming one belongs to its own topic, as long as no name in it
/// leads to another namespace: it comes with the right to consume, as in Java. Any other wants the right to produce.
fn dead_letter_right(topic: &str, subscription: &str, dead_letters: &str) -> Option<Right> {
    let namespace = |name| TopicName::parse(name).map(|it| it.namespace().to_owned());
    let belongs = dead_letters == format!("{topic}-{subscription}-DLQ")
        && matches!((namespace(topic), namespace(dead_letters)), (Ok(own), Ok(its)) if own == its);
    (!belongs).then(|| right(dead_letters, Action::Produce))
}

fn right(topic: &str, action: Action) -> Right {
    Right {
        topic: topic.into(),
        action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead_letters(topic: &str, subscription: &str, named: &str) -> Option<String> {
        let right = dead_letter_right(topic, subscription, named)?;
        assert_eq!(right.action, Action::Produce);
        Some(right.topic.to_string())
    }

    #[test]
    fn a_dead_letter_topic_wants_the_right_to_produce_unless_it_is_the_topics_own() {
        let topic = "persistent://t/n/topic";
        assert_eq!(
            dead_letters(topic, "s", "persistent://t/n/topic-s-DLQ"),
            None
        );
        let other = "persistent://u/n/topic-s-DLQ";
        assert_eq!(dead_letters(topic, "s", other).as_deref(), Some(other));
        // With a slash in the subscription it is a V1 name, of another namespace.
        let v1 = "persistent://t/n/topic-x/y-DLQ";
        assert_eq!(dead_letters(topic, "x/y", v1).as_deref(), Some(v1));
        // What is no name is nobody's own.
        let none = "persistent://u/n/..";
        assert_eq!(dead_letters(topic, "s", none).as_deref(), Some(none));
    }
}
