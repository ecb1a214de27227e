//! Patterns over a namespace's topics (`TopicsPattern` and `TopicList` of pulsar-common).

use std::fmt;
use std::hash::{Hash, Hasher};

use regex::bytes::{Regex, RegexBuilder};

use super::topics::{is_persistent, split_partition};

/// What one compiled pattern may take, in bytes: some times what a pattern needs that lists a hundred names (700 bytes each).
/// A pattern comes from a client, and a few characters of it (`\w{1000}{1000}`) could ask for gigabytes. And what each
/// byte of a name costs grows with it, where the pattern is made for that.
const MAX_COMPILED_BYTES: usize = 512 * 1024;
/// Depth of groups in a pattern: the parser's stack.
const MAX_NESTING: u32 = 50;

/// What a client wrote, not looked at closely yet: to compile it takes milliseconds when somebody means it to, so that
/// only who is let in has it done.
#[derive(Clone, Debug)]
pub struct PatternText {
    text: String,
    /// `tenant/namespace`, or the V1 form.
    namespace: String,
}

/// Which topics of one namespace a consumer wants.
#[derive(Clone)]
pub struct TopicsPattern {
    source: PatternText,
    regex: Regex,
}

/// Why a regular expression cannot be taken: one line for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PatternText {
    /// `text` is what the client wrote: `persistent://tenant/namespace/regex`, `tenant/namespace/regex`, or a regex
    /// alone, which is about topics of `public/default`. The whole name behind the domain has to match, as in Java.
    /// A regex alone may match the last part of the name instead; in Java it is compared with the whole name
    /// all the same, so that `orders-.*` finds nothing there.
    pub fn new(text: &str, namespace: &str) -> PatternText {
        PatternText {
            text: text.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// What the client wrote.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether it is about persistent topics, else about non-persistent ones.
    pub fn is_persistent(&self) -> bool {
        is_persistent(&self.text)
    }

    fn expression(&self) -> &str {
        let expression = self.text.split_once("://");
        expression.map_or(&self.text, |(_, expression)| expression)
    }

    /// The pattern is about the last part of the name only.
    fn is_local(&self) -> bool {
        !self.expression().contains('/')
    }

    /// # Errors
    /// What the `regex` crate does not take: look-around, back-references, possessive quantifiers, atomic groups,
    /// `\Q…\E`; classes of Unicode; and what would grow over a bound.
    pub fn compile(self) -> Result<TopicsPattern, PatternError> {
        let expression = over_bytes(self.expression())?;
        // As in Java, letters, digits and case are those of ASCII. With Unicode's tables, a few bytes of a pattern would
        // cost 16 ms: `(?i)\p{any}`.
        let regex = RegexBuilder::new(&format!(r"\A(?:{expression})\z"))
            .unicode(false)
            .size_limit(MAX_COMPILED_BYTES)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| PatternError(reason(&error)))?;
        Ok(TopicsPattern {
            source: self,
            regex,
        })
    }
}

impl TopicsPattern {
    /// What the client wrote.
    pub fn text(&self) -> &str {
        self.source.text()
    }

    /// Whether it is about persistent topics, else about non-persistent ones.
    pub fn is_persistent(&self) -> bool {
        self.source.is_persistent()
    }

    pub fn namespace(&self) -> &str {
        self.source.namespace()
    }

    /// The pattern as a broker may apply it before it answers. None: it would take it for something else.
    pub fn for_broker(&self) -> Option<&str> {
        (!self.source.is_local()).then_some(self.text())
    }

    /// `topic` is a full name; of a partition, the topic's name counts.
    pub fn matches(&self, topic: &str) -> bool {
        let (name, _) = split_partition(topic);
        let Some((domain, name)) = name.split_once("://") else {
            return false;
        };
        let Some(local) = name
            .strip_prefix(self.namespace())
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return false;
        };
        let is_match = |text: &str| self.regex.is_match(text.as_bytes());
        (domain == "persistent") == self.is_persistent()
            && (is_match(name) || self.source.is_local() && is_match(local))
    }
}

/// By what the client wrote, which says all of it.
impl PartialEq for TopicsPattern {
    fn eq(&self, other: &TopicsPattern) -> bool {
        self.text() == other.text()
    }
}

impl Eq for TopicsPattern {}

impl Hash for TopicsPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl fmt::Debug for TopicsPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TopicsPattern").field(&self.text()).finish()
    }
}

/// The expression for a regex over bytes. A dot, and each character that is not ASCII, is one character all the same.
fn over_bytes(expression: &str) -> Result<String, PatternError> {
    let mut out = String::with_capacity(expression.len());
    let mut previous = ' ';
    let mut classes = 0_u32;
    let mut rest = expression;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let quantified = matches!(previous, '*' | '+' | '?' | '}') && classes == 0;
        // `*+`, `++`, `?+`, `}+`: Java gives up going back there; the `regex` crate would read a repetition of a
        // repetition, which matches more.
        if c == '+' && quantified {
            return Err(unsupported("possessive quantifiers"));
        }
        previous = c;
        match c {
            '\\' => {
                let escaped = rest.chars().next();
                out.push(c);
                out.extend(escaped);
                rest = &rest[escaped.map_or(0, char::len_utf8)..];
                previous = ' ';
                continue;
            }
            '[' => {
                classes += 1;
                // A bracket that stands first is one of the characters.
                let first = ["^]", "]"].into_iter().find(|it| rest.starts_with(it));
                out.push(c);
                out.push_str(first.unwrap_or_default());
                rest = &rest[first.map_or(0, str::len)..];
                continue;
            }
            ']' => classes = classes.saturating_sub(1),
            '(' if classes == 0 && has_flag(rest, ['u', 'U', 'x']) => {
                return Err(unsupported("the flags u, U and x"));
            }
            // `a??`, `a*?`: lazy; what follows is not possessive.
            '?' if quantified => previous = ' ',
            '.' if classes == 0 => {
                out.push_str("(?u:.)");
                continue;
            }
            _ if classes == 0 && !c.is_ascii() => {
                out.push_str("(?u:");
                out.push(c);
                out.push(')');
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    Ok(out)
}

/// Whether what follows a parenthesis sets one of these flags: `(?i-u)`, `(?u:…)`.
fn has_flag(rest: &str, flags: [char; 3]) -> bool {
    let Some(rest) = rest.strip_prefix('?') else {
        return false;
    };
    let end = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '-');
    let (set, behind) = rest.split_at(end.unwrap_or(rest.len()));
    behind.starts_with([':', ')']) && set.contains(flags)
}

fn unsupported(what: &str) -> PatternError {
    PatternError(format!("{what} are not supported in topicsPattern"))
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

    fn compiled(pattern: &str) -> Result<TopicsPattern, PatternError> {
        PatternText::new(pattern, "public/default").compile()
    }

    fn matches(pattern: &str, topic: &str) -> bool {
        let pattern = compiled(pattern).expect("a pattern");
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
            let refused = compiled(pattern);
            let text = refused.expect_err(pattern).to_string();
            assert!(!text.contains('\n'), "{text}");
        }
        for pattern in ["a+?b", r"a\++", "[*+]+", "a{2}b+"] {
            assert!(compiled(pattern).is_ok(), "{pattern}");
        }
        let deep = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
        assert!(compiled(&deep).is_err());
    }

    #[test]
    #[cfg_attr(miri, ignore = "compiles regular expressions")]
    fn what_people_write_is_not_too_large() {
        let names: Vec<String> = (0..300)
            .map(|n| format!("orders-of-customer-{n}"))
            .collect();
        for pattern in [
            format!("public/default/({})", names.join("|")),
            "persistent://public/default/.*-[a-z0-9]{1,63}(-dlq|-retry)?".to_owned(),
            r"(?i)(orders|payments)[._-](v\d+)[._-].{0,200}".to_owned(),
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}.*".to_owned(),
        ] {
            let refused = compiled(&pattern).err();
            assert_eq!(refused, None, "{pattern}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "compiles regular expressions")]
    fn a_character_that_is_not_ascii_is_one_character() {
        let topic = "persistent://public/default/aéあ";
        for pattern in [
            "a..",
            "aé.",
            "a.あ",
            "a(é|x)あ",
            "aé?あ+",
            "a[^x]*あ",
            r"aé\.*.",
        ] {
            assert!(matches(pattern, topic), "{pattern}");
        }
        for pattern in ["a.", "a...", "aé", r"\w+", "(?i)aÉあ(b|)x"] {
            assert!(!matches(pattern, topic), "{pattern}");
        }
        assert!(matches("(?i)A.あ", topic));
        // Within brackets a dot is a dot.
        assert!(!matches("a[].u]あ", topic) && !matches("a[^].]", topic));
    }

    /// They would cost milliseconds each.
    #[test]
    #[cfg_attr(miri, ignore = "compiles regular expressions")]
    fn classes_and_case_of_unicode_are_refused() {
        for pattern in [
            r"(?i)\p{any}",
            r"\pL",
            "(?u:a)",
            "(?iu)a",
            "(?i-u:a)",
            "(?U)a",
            "(?x) (?u)a",
            "(?x)( ?u:a)",
            "[é]",
            r"[\x{0}-\x{10FFFF}]",
            "[a[b].-é]",
        ] {
            assert!(compiled(pattern).is_err(), "{pattern}");
        }
        for pattern in [
            "(?<name>u)",
            "(?P<xu>a)",
            r"\(?u",
            "[(?u)]",
            "(?i:A)",
            "[a[b].]",
            "[].]",
        ] {
            assert!(compiled(pattern).is_ok(), "{pattern}");
        }
    }
}
