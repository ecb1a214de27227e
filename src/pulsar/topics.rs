//! Topic names as the Java client takes them apart, and patterns over a namespace's topics
//! (`TopicName`, `TopicsPattern` and `TopicList` of pulsar-common).

use std::fmt;

use regex::{Regex, RegexBuilder};

/// `TopicName.PARTITIONED_TOPIC_SUFFIX`.
const PARTITION_SUFFIX: &str = "-partition-";

/// What one compiled pattern may take, in bytes: a hundred times what a pattern needs that lists a hundred names.
/// A pattern comes from a client, and a few characters of it (`\w{1000}{1000}`) could ask for gigabytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// Depth of groups in a pattern: the parser's stack.
const MAX_NESTING: u32 = 50;

/// `TopicName.getPartitionIndex`: −1 unless the name ends with a partition's number as Java writes it.
pub fn partition_index(topic: &str) -> i32 {
    split_partition(topic).1
}

/// The name of the topic, and which partition of it is meant: −1 when it is the topic as a whole.
pub fn split_partition(topic: &str) -> (&str, i32) {
    let split = topic
        .rsplit_once(PARTITION_SUFFIX)
        .and_then(|(name, digits)| {
            let index: i32 = digits.parse().ok()?;
            (index >= 0 && index.to_string() == digits).then_some((name, index))
        });
    split.unwrap_or((topic, -1))
}

/// The name of one partition; that of the topic itself for −1.
pub fn partition_name(topic: &str, partition: i32) -> String {
    match partition {
        ..0 => topic.to_owned(),
        _ => format!("{topic}{PARTITION_SUFFIX}{partition}"),
    }
}

pub fn is_persistent(topic: &str) -> bool {
    !topic.starts_with("non-persistent://")
}

/// Which topics of one namespace a consumer wants.
#[derive(Clone)]
pub struct TopicsPattern {
    text: String,
    persistent: bool,
    /// `tenant/namespace`, or the V1 form.
    namespace: String,
    regex: Regex,
    /// The pattern is about the last part of the name only.
    local: bool,
}

/// Why a regular expression cannot be taken: one line for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TopicsPattern {
    /// `text` is what the client wrote: `persistent://tenant/namespace/regex`, `tenant/namespace/regex`, or a regex
    /// alone, which is about topics of `public/default`. The whole name behind the domain has to match, as in Java.
    /// A regex alone may match the last part of the name instead; in Java it is compared with the whole name
    /// all the same, so that `orders-.*` finds nothing there.
    ///
    /// # Errors
    /// What the `regex` crate does not take: look-around, back-references, possessive quantifiers, atomic groups,
    /// `\Q…\E`; and what would grow over a bound.
    pub fn new(text: &str, namespace: &str) -> Result<TopicsPattern, PatternError> {
        let (domain, expression) = text.split_once("://").unwrap_or(("persistent", text));
        if has_possessive_quantifier(expression) {
            let text = "possessive quantifiers are not supported in topicsPattern";
            return Err(PatternError(text.to_owned()));
        }
        let regex = RegexBuilder::new(&format!(r"\A(?:{expression})\z"))
            .size_limit(MAX_COMPILED_BYTES)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| PatternError(reason(&error)))?;
        Ok(TopicsPattern {
            text: text.to_owned(),
            persistent: domain != "non-persistent",
            namespace: namespace.to_owned(),
            regex,
            local: !expression.contains('/'),
        })
    }

    /// What the client wrote.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is about persistent topics, else about non-persistent ones.
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pattern as a broker may apply it before it answers. None: it would take it for something else.
    pub fn for_broker(&self) -> Option<&str> {
        (!self.local).then_some(self.text.as_str())
    }

    /// `topic` is a full name; of a partition, the topic's name counts.
    pub fn matches(&self, topic: &str) -> bool {
        let (name, _) = split_partition(topic);
        let Some((domain, name)) = name.split_once("://") else {
            return false;
        };
        let Some(local) = name
            .strip_prefix(self.namespace.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return false;
        };
        (domain == "persistent") == self.persistent
            && (self.regex.is_match(name) || self.local && self.regex.is_match(local))
    }
}

impl fmt::Debug for TopicsPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TopicsPattern").field(&self.text).finish()
    }
}

/// `*+`, `++`, `?+`, `}+`: Java gives up going back there; the `regex` crate would read a repetition of a repetition,
/// which matches more.
fn has_possessive_quantifier(expression: &str) -> bool {
    let mut previous = ' ';
    let mut in_class = false;
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        let quantified = matches!(previous, '*' | '+' | '?' | '}') && !in_class;
        if c == '+' && quantified {
            return true;
        }
        previous = c;
        match c {
            '\\' => {
                chars.next();
                previous = ' ';
            }
            '[' => in_class = true,
            ']' => in_class = false,
            // `a??`, `a*?`: lazy; what follows is not possessive.
            '?' if quantified => previous = ' ',
            _ => {}
        }
    }
    false
}

/// The last line of the crate's error says what is wrong; the others draw the place.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "topicsPattern is too complex".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            let last = last.trim().trim_start_matches("error: ");
            format!("topicsPattern is not a supported regular expression: {last}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_topic_name_is_read_as_java_reads_it() {
        assert_eq!(partition_index("persistent://p/d/t-partition-3"), 3);
        assert_eq!(partition_index("persistent://p/d/t-partition-03"), -1);
        assert_eq!(partition_index("persistent://p/d/t-partition--1"), -1);
        assert_eq!(partition_index("persistent://p/d/t-partition-+1"), -1);
        assert_eq!(partition_index("persistent://p/d/t"), -1);
        assert_eq!(split_partition("t-partition-3"), ("t", 3));
        assert_eq!(partition_name("t", 3), "t-partition-3");
        assert_eq!(partition_name("t", -1), "t");
    }

    fn matches(pattern: &str, topic: &str) -> bool {
        let pattern = TopicsPattern::new(pattern, "public/default").expect("a pattern");
        pattern.matches(topic)
    }

    #[test]
    #[cfg_attr(miri, ignore = "compiles regular expressions")]
    fn the_whole_name_behind_the_domain_has_to_match() {
        let topic = "persistent://public/default/orders-1";
        for pattern in [
            "persistent://public/default/orders-.*",
            "persistent://public/default/(a|orders-[0-9])",
            "public/default/orders-1",
            ".*",
            ".*orders.*",
            "orders-.",
        ] {
            assert!(matches(pattern, topic), "{pattern}");
        }
        for pattern in [
            "persistent://public/default/orders",
            "public/default/rders-1",
            "orders",
            "non-persistent://public/default/orders-.*",
        ] {
            assert!(!matches(pattern, topic), "{pattern}");
        }
        assert!(!matches(".*", "persistent://public/other/orders-1"));
        assert!(matches(
            "non-persistent://public/default/.*",
            "non-persistent://public/default/x"
        ));
    }

    #[test]
    #[cfg_attr(miri, ignore = "compiles regular expressions")]
    fn a_partition_matches_by_its_topics_name() {
        let partition = "persistent://public/default/t-partition-11";
        assert!(matches("public/default/t", partition));
        assert!(!matches(".*-partition-11", partition));
    }

    #[test]
    #[cfg_attr(miri, ignore = "compiles regular expressions")]
    fn what_the_regex_crate_reads_otherwise_than_java_is_refused() {
        for pattern in [
            "(?=a)b",
            "(?<!a)b",
            r"(a)\1",
            "a*+",
            "a++b",
            "a{2}+",
            "(?>a)",
            r"\Qa\E",
            "[a-",
            "(a",
            r"\w{1000}{1000}",
        ] {
            let refused = TopicsPattern::new(pattern, "public/default");
            let text = refused.expect_err(pattern).to_string();
            assert!(!text.contains('\n'), "{text}");
        }
        for pattern in ["a+?b", r"a\++", "[*+]+", "a{2}b+"] {
            let taken = TopicsPattern::new(pattern, "public/default");
            assert!(taken.is_ok(), "{pattern}");
        }
        let deep = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
        assert!(TopicsPattern::new(&deep, "public/default").is_err());
    }
}
