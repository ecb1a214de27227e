//! Topic names (`TopicName`, `NamespaceName` and `NamedEntity` of pulsar-common).

use std::fmt;

/// A tenant, a cluster, a namespace: what an administrator has made and may type again. What is read of them is kept
/// beyond the socket that asked, so these are the shortest.
const NAMESPACE_PART_BYTES_MAX: usize = 255;

/// Any other name: of a topic in its namespace, a subscription, a producer, a consumer, a reader. A URL fits; a socket keeps
/// some copies of its names, and is to cost little whatever they are. Java has no bound but its request head of 8 KiB.
pub const NAME_BYTES_MAX: usize = 2048;

/// A full topic name whose parts are valid: `persistent://tenant/namespace/topic`, or the V1 form with the cluster
/// between tenant and namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(String);

impl TopicName {
    /// `domain` is `persistent` or `non-persistent`; `local` is decoded and may hold slashes.
    /// The error is one line for the client.
    pub fn new(domain: &str, namespace: &Namespace<'_>, local: &str) -> Result<TopicName, String> {
        if local.len() > NAME_BYTES_MAX {
            return Err(too_long("topic", NAME_BYTES_MAX));
        }
        let full = format!("{domain}://{namespace}/{local}");
        // The Java client trims what it is given.
        let is_cut = |c: char| c <= ' ';
        let mut last = local.trim_end_matches(is_cut);
        // Pulsar reads the full name again: with one slash in the local name of a V2 topic the first part of that name
        // is taken for a V1 namespace, and must be a valid one.
        if namespace.cluster.is_none()
            && let Some((first, rest)) = last.split_once('/')
        {
            Namespace::v1(namespace.tenant, namespace.name, first)?;
            last = rest;
        }
        if is_dots(last) {
            return Err(format!("Invalid topic name: {full}"));
        }
        blank_check(&full, last)?;
        Ok(TopicName(full.trim_end_matches(is_cut).to_owned()))
    }

    /// `TopicName.get`: a full name, `tenant/namespace/topic`, or a topic of `public/default`.
    /// The error is one line for the client.
    pub fn parse(text: &str) -> Result<TopicName, String> {
        let full;
        let (domain, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None => {
                // StringUtils.split: what is between slashes, where there is anything.
                let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
                full = match parts[..] {
                    [topic] => format!("public/default/{topic}"),
                    [_, _, _] => text.to_owned(),
                    _ => return Err(invalid_short_name(text)),
                };
                ("persistent", full.as_str())
            }
        };
        // TopicDomain.getEnum looks at no case.
        let known = ["persistent", "non-persistent"];
        let Some(domain) = known.into_iter().find(|it| it.eq_ignore_ascii_case(domain)) else {
            return Err(format!("Invalid topic domain: '{domain}'"));
        };
        let (namespace, local) = match rest.splitn(4, '/').collect::<Vec<_>>()[..] {
            [tenant, name, local] => (Namespace::v2(tenant, name)?, local),
            [tenant, cluster, name, local] => (Namespace::v1(tenant, cluster, name)?, local),
            _ => return Err(format!("Invalid topic name: {text}")),
        };
        TopicName::new(domain, &namespace, local)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `tenant/namespace`, or `tenant/cluster/namespace`.
    pub fn namespace(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        // The local name is what follows the third slash, where there is one, as Pulsar reads it.
        let slashes = rest.match_indices('/').map(|(at, _)| at).take(3);
        rest.get(..slashes.last().unwrap_or(0)).unwrap_or_default()
    }

    pub fn is_persistent(&self) -> bool {
        self.0.starts_with("persistent://")
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A valid namespace: `tenant/name`, or `tenant/cluster/name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace<'a> {
    tenant: &'a str,
    cluster: Option<&'a str>,
    name: &'a str,
}

impl<'a> Namespace<'a> {
    pub fn v2(tenant: &'a str, name: &'a str) -> Result<Namespace<'a>, String> {
        Namespace {
            tenant,
            cluster: None,
            name,
        }
        .checked()
    }

    pub fn v1(tenant: &'a str, cluster: &'a str, name: &'a str) -> Result<Namespace<'a>, String> {
        Namespace {
            tenant,
            cluster: Some(cluster),
            name,
        }
        .checked()
    }

    fn checked(self) -> Result<Namespace<'a>, String> {
        let parts = [Some(self.tenant), self.cluster, Some(self.name)];
        if parts.contains(&Some("")) {
            return Err(format!("Invalid namespace format. namespace: {self}"));
        }
        let mut given = parts.iter().flatten();
        if given.any(|part| part.len() > NAMESPACE_PART_BYTES_MAX) {
            let what = "tenant, cluster or namespace";
            return Err(too_long(what, NAMESPACE_PART_BYTES_MAX));
        }
        match parts
            .into_iter()
            .flatten()
            .find(|part| !is_named_entity(part) || is_dots(part))
        {
            Some(part) => Err(format!("Invalid named entity: {part}")),
            None => Ok(self),
        }
    }
}

impl fmt::Display for Namespace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cluster {
            Some(cluster) => write!(f, "{}/{cluster}/{}", self.tenant, self.name),
            None => write!(f, "{}/{}", self.tenant, self.name),
        }
    }
}

/// `NamedEntity`: `[-=:.\w]*`.
fn is_named_entity(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-=:._".contains(&byte))
}

/// In the paths of the brokers' web services it would be another place (RFC 3986 §5.2.4).
fn is_dots(name: &str) -> bool {
    matches!(name, "." | "..")
}

/// Not in Java's words: it has no such bound.
pub fn too_long(what: &str, most: usize) -> String {
    format!("The {what} name is longer than {most} bytes")
}

fn invalid_short_name(text: &str) -> String {
    format!(
        "Invalid short topic name '{text}', it should be in the format of <tenant>/<namespace>/<topic> or <topic>"
    )
}

fn blank_check(full: &str, local: &str) -> Result<(), String> {
    if is_blank(local) {
        return Err(format!(
            "Invalid topic name: {full}. Topic local name must not be blank."
        ));
    }
    Ok(())
}

/// `StringUtils.isBlank`: nothing but what Java's `Character.isWhitespace` takes for white space.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\u{1c}'..='\u{1f}' => true,
        '\u{85}' | '\u{a0}' | '\u{2007}' | '\u{202f}' => false,
        other => other.is_whitespace(),
    })
}
