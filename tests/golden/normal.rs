//! The rules by which the answers of two runs, or of two gateways, become equal. There are no others.
//!
//! | rule | before | after |
//! |---|---|---|
//! | `message_ids` | `"messageId":"CBAQAhgAMAA="` | `"messageId":"A:2 p0"`: the ledger by the order of appearance, the entry, and where they are there the partition (`p0`), the index and size of the batch (`b1/3`), whatever else is in it (hex) |
//! | `publish_times` | `"publishTime":"2026-11-20T17:47:23.18Z"` | `"publishTime":"TIME"`, if it has this form |
//! | `origins` | `"ORIGIN_MESSAGE_ID":"16:2:-1"` | `"ORIGIN_MESSAGE_ID":"A:2:-1"`, and the same for `ORIGIN_MESSAGE_IDY_TIME` |
//! | `servlets` | `"servlet":"org…Servlet-305552d6"` | `"servlet":"org…Servlet-HASH"` |
//! | `topics` | the name that this run gave the topic | `$topic` |
//! | `connections` | `"reqId":2697781685632757011`, `"remote":"127.0.0.1/127.0.0.1:6650"` | `"reqId":N`, `"remote":"ADDRESS"` |
//! | `producer_names` | `The producer standalone-1-23 of` | `The producer NAME of` |
//! | `idle_times` | `Idle timeout expired: 3001/3000 ms` | `Idle timeout expired: N/3000 ms` |
//! | `null_pointers` | `"errorMsg":"Cannot invoke \"String.getBytes…\" because \"src\" is null",` | nothing; as the reason of a close frame: `NullPointerException`; at the end of a refusal: `null` |
//! | `control` | a line end in a text | `\n` |

use pws_fast::pulsar::MessageId;

/// What one conversation has met.
pub struct Names {
    ledgers: Vec<u64>,
    topic: String,
    /// If they are to be numbered by the order of their appearance.
    partitions: Option<Vec<i32>>,
}

impl Names {
    pub fn of(topic: &str, any_partition: bool) -> Names {
        Names {
            ledgers: Vec::new(),
            topic: topic.to_owned(),
            partitions: any_partition.then(Vec::new),
        }
    }

    pub fn normal(&mut self, text: &str) -> String {
        let text = replace(text, "\"messageId\":\"", "\"", |id| self.message_id(id));
        let text = replace(&text, "\"ORIGIN_MESSAGE_ID\":\"", "\"", |id| {
            self.origin(id)
        });
        let text = replace(&text, "\"ORIGIN_MESSAGE_IDY_TIME\":\"", "\"", |id| {
            self.origin(id)
        });
        let text = replace(&text, "\"servlet\":\"", "\"", |name| {
            let (class, _) = name.rsplit_once('-')?;
            Some(format!("{class}-HASH"))
        });
        let text = replace(&text, "\"publishTime\":\"", "\"", |time| {
            is_time(time).then(|| "TIME".to_owned())
        });
        let mut text = replace(&text, "\"reqId\":", ",", |_| Some("N".to_owned()));
        // In an error ack the broker's JSON is a text in JSON.
        text = replace(&text, "\\\"reqId\\\":", ",", |_| Some("N".to_owned()));
        for name in ["remote", "local"] {
            for quote in ["\"", "\\\""] {
                let before = format!("{quote}{name}{quote}:{quote}");
                text = replace(&text, &before, quote, |_| Some("ADDRESS".to_owned()));
            }
        }
        let text = replace(&text, "The producer ", " of", |_| Some("NAME".to_owned()));
        let text = replace(&text, "Idle timeout expired: ", "/", |_| {
            Some("N".to_owned())
        });
        null_pointers(&text)
            .replace(&self.topic, "$topic")
            .replace('\r', "\\r")
            .replace('\n', "\\n")
    }

    fn ledger(&mut self, ledger: u64) -> String {
        if ledger as i64 == -1 {
            return "-1".to_owned();
        }
        let place = place(&mut self.ledgers, ledger);
        char::from(b'A' + (place % 26) as u8).to_string()
    }

    fn partition(&mut self, partition: i32) -> i32 {
        match &mut self.partitions {
            Some(met) => place(met, partition) as i32,
            None => partition,
        }
    }

    fn message_id(&mut self, id: &str) -> Option<String> {
        let bytes = base64_simd::STANDARD.decode_to_vec(id).ok()?;
        let known = MessageId::decode(&bytes).ok()?;
        let mut text = format!("{}:{}", self.ledger(known.ledger), known.entry as i64);
        if known.partition >= 0 {
            text += &format!(" p{}", self.partition(known.partition));
        }
        if known.batch_index >= 0 {
            text += &format!(" b{}/{}", known.batch_index, known.batch_size);
        }
        if *known.encode() != *bytes {
            text += &format!(" hex {}", hex(&bytes));
        }
        Some(text)
    }

    /// `ledger:entry:partition`, and in a batch its index.
    fn origin(&mut self, id: &str) -> Option<String> {
        let (ledger, rest) = id.split_once(':')?;
        Some(format!("{}:{rest}", self.ledger(ledger.parse().ok()?)))
    }
}

/// Where it stands in `met`, where it is put if it is new.
fn place<T: PartialEq>(met: &mut Vec<T>, value: T) -> usize {
    let known = met.iter().position(|of| *of == value);
    known.unwrap_or_else(|| {
        met.push(value);
        met.len() - 1
    })
}

/// The JVM leaves the text out when it has thrown often enough (`OmitStackTraceInFastThrow`).
fn null_pointers(text: &str) -> String {
    let Some(start) = text
        .find("Cannot invoke ")
        .or(text.find("Cannot read field "))
    else {
        return text.to_owned();
    };
    if text.starts_with("close ") {
        return format!("{}NullPointerException", &text[..start]);
    }
    if text.starts_with("500 ") && text.ends_with(" is null") {
        return format!("{}null", &text[..start]);
    }
    match text[start..].split_once(" is null\",") {
        Some((_, rest)) => text[..start].trim_end_matches("\"errorMsg\":\"").to_owned() + rest,
        None => text.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// ISO-8601 in UTC with up to three digits of fraction, the last of which is not 0.
fn is_time(text: &str) -> bool {
    let Some((whole, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let shape: String = whole
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    let fraction = rest.strip_suffix('Z').map(|rest| rest.strip_prefix('.'));
    let fraction_is_right = match fraction {
        Some(Some(digits)) => {
            (1..=3).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && !digits.ends_with('0')
        }
        Some(None) => rest == "Z",
        None => false,
    };
    shape == "9999-99-99T99:99:99" && fraction_is_right
}

/// Replaces what stands between each `before` and the next `after`; None leaves it.
fn replace(
    text: &str,
    before: &str,
    after: &str,
    mut by: impl FnMut(&str) -> Option<String>,
) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once(before) {
        let Some((middle, tail)) = tail.split_once(after) else {
            break;
        };
        done += head;
        done += before;
        done += &by(middle).unwrap_or_else(|| middle.to_owned());
        done += after;
        rest = tail;
    }
    done + rest
}
