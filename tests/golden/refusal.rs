//! What a gateway says in a refusal: Java's stands in a page of Jetty's.

/// Without the end of its line.
pub fn text(content_type: Option<&str>, body: &str) -> String {
    let is_page = content_type.is_some_and(|of| of.starts_with("text/html"));
    let text = match is_page {
        true => page_message(body),
        false => body.strip_suffix('\n').unwrap_or(body),
    };
    unescape(text)
}

/// The line MESSAGE of Jetty's error page, which is what the handler has to say.
fn page_message(body: &str) -> &str {
    body.split_once("<th>MESSAGE:</th><td>")
        .and_then(|(_, rest)| rest.split_once("</td>"))
        .map_or(body, |(message, _)| message)
}

/// Jetty escapes for HTML, in JSON too.
fn unescape(text: &str) -> String {
    [
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escape, plain)| {
        text.replace(escape, plain)
    })
}
