//! What a request asks for, as a log may show it: of the query only what is known to be no secret.

/// Longer than any target that somebody wants to read whole; escapes may make it a few times that.
const SHOWN_BYTES_MAX: usize = 512;

/// Parameters whose values the log may show. All others may be credentials: `token`, keys, or what a client thinks is one
/// of ours.
const PUBLIC: [&str; 27] = [
    "ackTimeoutMillis",
    "batchingEnabled",
    "batchingMaxMessages",
    "batchingMaxPublishDelay",
    "compressionType",
    "consumerName",
    "cryptoFailureAction",
    "deadLetterTopic",
    "flow",
    "hashingScheme",
    "initialSequenceId",
    "maxPendingMessages",
    "maxRedeliverCount",
    "messageId",
    "messageRoutingMode",
    "negativeAckRedeliveryDelay",
    "priorityLevel",
    "producerName",
    "pullMode",
    "readerName",
    "receiverQueueSize",
    "sendTimeoutMillis",
    "subscriptionInitialPosition",
    "subscriptionMode",
    "subscriptionType",
    "topics",
    "topicsPattern",
];

/// A request target, one line of printable ASCII: parameters that may be secrets are left out.
pub fn target(path: &str, raw_query: Option<&str>) -> String {
    let mut text = path.to_owned();
    let mut separator = '?';
    for pair in raw_query.unwrap_or_default().split('&') {
        if pair.is_empty() {
            continue;
        }
        text.push(separator);
        separator = '&';
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // `a=b;token=c` is one parameter here, and two where the client comes from.
        let is_public = PUBLIC.contains(&name) && !value.contains([';', '=']);
        text.push_str(if is_public { pair } else { "…" });
    }
    let mut cut = text.len().min(SHOWN_BYTES_MAX);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    text[..cut].replace('…', "...").escape_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_left_out_however_it_is_written() {
        for (query, shown) in [
            (None, "/p"),
            (Some(""), "/p"),
            (Some("pullMode=true&token=s3cret"), "/p?pullMode=true&..."),
            (Some("token=s3cret"), "/p?..."),
            (Some("%74oken=s3cret"), "/p?..."),
            (Some("Token=s3cret&tokens3cret"), "/p?...&..."),
            (Some("s3cret"), "/p?..."),
            (Some("pullMode=true;token=s3cret"), "/p?..."),
            (Some("pullMode=token=s3cret"), "/p?..."),
            (Some("&&flow=tcp"), "/p?flow=tcp"),
        ] {
            assert_eq!(target("/p", query), shown);
        }
    }

    #[test]
    fn it_is_one_short_line_of_printable_ascii() {
        assert_eq!(target("/a\n\u{1b}[31mé", None), "/a\\n\\u{1b}[31m\\u{e9}");
        let long = target(&"é".repeat(5000), Some("flow=tcp"));
        assert!(long.len() <= 6 * SHOWN_BYTES_MAX && long.is_ascii());
    }
}
