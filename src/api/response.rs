//! Producer socket → client: acks and errors (`ProducerAck.java`); and the answers to consumers' and readers' commands.

use base64_simd::STANDARD;

use super::WebSocketError;
use super::json::escape::append_string;
use crate::pulsar::MessageId;

/// What both kinds of ack end with: fields that Java has and always leaves at 0.
const END: &[u8] = b",\"errorCode\":0,\"schemaVersion\":0}";

/// Appends `{"result":"ok","messageId":"CBAQADAA","context":"5","errorCode":0,"schemaVersion":0}`.
pub fn append_ack(id: &MessageId, context: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"result\":\"ok\",\"messageId\":");
    append_id(id, out);
    append_context(context, out);
    out.extend_from_slice(END);
}

/// Appends `{"result":"send-error:7","errorMsg":"…","context":"…","errorCode":0,"schemaVersion":0}`.
pub fn append_error(error: WebSocketError, text: &str, context: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"result\":\"send-error:");
    // The documented numbers have one digit.
    out.extend_from_slice(&[b'0' + error.number() as u8]);
    out.extend_from_slice(b"\",\"errorMsg\":");
    append_string(text, out);
    append_context(context, out);
    out.extend_from_slice(END);
}

/// Appends `{"endOfTopic":false}`.
pub fn append_end_of_topic(reached: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(match reached {
        true => b"{\"endOfTopic\":true}",
        false => b"{\"endOfTopic\":false}",
    });
}

/// Appends the answer to a consumer's or reader's command: `{"result":"ok","requestId":5}`, or
/// `{"result":"error:3","errorMsg":"…","requestId":5}`. `request_id` is JSON; a refusal may be without.
pub fn append_answer(
    request_id: Option<&str>,
    result: Result<(), (WebSocketError, &str)>,
    out: &mut Vec<u8>,
) {
    match result {
        Ok(()) => out.extend_from_slice(b"{\"result\":\"ok\""),
        Err((error, text)) => {
            out.extend_from_slice(b"{\"result\":\"error:");
            out.extend_from_slice(&[b'0' + error.number() as u8]);
            out.extend_from_slice(b"\",\"errorMsg\":");
            append_string(text, out);
        }
    }
    if let Some(request_id) = request_id {
        out.extend_from_slice(b",\"requestId\":");
        out.extend_from_slice(request_id.as_bytes());
    }
    out.push(b'}');
}

fn append_context(context: Option<&str>, out: &mut Vec<u8>) {
    if let Some(context) = context {
        out.extend_from_slice(b",\"context\":");
        append_string(context, out);
    }
}

/// Appends a message id in quotes.
pub(super) fn append_id(id: &MessageId, out: &mut Vec<u8>) {
    append_base64(&id.encode(), out);
}

/// Appends `bytes` as base64 in quotes.
pub(super) fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    STANDARD.encode_append(bytes, out);
    out.push(b'"');
}
