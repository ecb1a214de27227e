//! Topic names, as `org.apache.pulsar.common.naming.TopicName` reads them.

/// A longer topic, subscription, producer or consumer name is refused: names are kept for the life of what they name,
/// and a frame could carry one of 5 MiB.
pub(super) const MAX_NAME_BYTES: usize = 1_024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicName {
    /// The whole of it: `persistent://tenant/namespace/topic`.
    pub full: String,
    pub persistent: bool,
    /// `tenant/namespace`, or `tenant/cluster/namespace` (V1).
    pub namespace: String,
    /// −1 when the name has no `-partition-N`.
    pub partition: i32,
}

impl TopicName {
    /// The error is the text that goes to the client.
    pub fn parse(name: &str) -> Result<TopicName, String> {
        if name.len() > MAX_NAME_BYTES {
            return Err("Invalid topic name: it is too long".into());
        }
        let full = match name.split_once("://") {
            Some(_) => name.to_owned(),
            None => match name.split('/').count() {
                1 => format!("persistent://public/default/{name}"),
                3 => format!("persistent://{name}"),
                _ => {
                    return Err(format!(
                        "Invalid topic name: Invalid short topic name '{name}', it should be in the format of \
                         <tenant>/<namespace>/<topic> or <topic>"
                    ));
                }
            },
        };
        let (domain, rest) = full.split_once("://").unwrap_or_default();
        let persistent = match domain {
            "persistent" => true,
            "non-persistent" => false,
            _ => {
                return Err(format!(
                    "Invalid topic name: Invalid topic domain: '{domain}'"
                ));
            }
        };
        let parts: Vec<&str> = rest.splitn(4, '/').collect();
        let local = match parts.as_slice() {
            [_, _, local] | [_, _, _, local] => *local,
            _ => return Err(format!("Invalid topic name: {full}")),
        };
        if parts.iter().any(|part| part.is_empty()) {
            return Err(format!("Invalid topic name: {full}"));
        }
        let namespace = parts[..parts.len() - 1].join("/");
        let partition = partition_of(local);
        Ok(TopicName {
            persistent,
            namespace,
            partition,
            full,
        })
    }

    /// The name without its partition suffix.
    pub fn base(&self) -> &str {
        match self.partition {
            -1 => &self.full,
            _ => self
                .full
                .rsplit_once(SUFFIX)
                .map_or(&self.full, |(base, _)| base),
        }
    }
}

const SUFFIX: &str = "-partition-";

/// The name of partition `n` of a topic.
pub(super) fn partition_name(base: &str, n: u32) -> String {
    format!("{base}{SUFFIX}{n}")
}

fn partition_of(local: &str) -> i32 {
    let Some((_, digits)) = local.rsplit_once(SUFFIX) else {
        return -1;
    };
    // "-partition-01" is an ordinary name.
    match digits.parse::<i32>() {
        Ok(n) if n >= 0 && n.to_string() == digits => n,
        _ => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_v1_names_are_read() {
        let name = TopicName::parse("t").unwrap();
        assert_eq!(name.full, "persistent://public/default/t");
        assert_eq!((name.persistent, name.partition), (true, -1));
        let name =
            TopicName::parse("non-persistent://sample/standalone/ns1/t-partition-12").unwrap();
        assert_eq!(name.namespace, "sample/standalone/ns1");
        assert_eq!((name.persistent, name.partition), (false, 12));
        assert_eq!(name.base(), "non-persistent://sample/standalone/ns1/t");
        assert_eq!(partition_name(name.base(), 12), name.full);
        assert_eq!(TopicName::parse("t-partition-01").unwrap().partition, -1);
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        for bad in [
            "a/b",
            "http://a/b/c",
            "persistent://a/b",
            "persistent://a//c",
            "persistent://",
            "",
        ] {
            assert!(TopicName::parse(bad).is_err(), "{bad}");
        }
        assert!(TopicName::parse(&"x".repeat(MAX_NAME_BYTES + 1)).is_err());
    }
}
