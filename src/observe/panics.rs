//! What is told of a panic: where, and as much of its message as cannot hold what a client or a broker has sent.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;

/// From these on, a message that was put together at run time shows a value.
const VALUE_BEGINS: [char; 5] = ['"', '\'', '[', '{', '('];

/// A message that shows no value at all is still not longer than a line.
const SHOWN_CHARS_MAX: usize = 200;

/// Panics of the whole process are told so from now on. Without the hook of the standard library, which prints messages
/// whole.
pub fn keep_values_out() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = shown(info.payload());
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        tracing::error!(place, thread, "panic: {message}");
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            // Names of functions and files, no values.
            eprintln!("{backtrace}");
        }
    }));
}

/// The message of a panic without values.
pub fn shown(payload: &(dyn Any + Send)) -> String {
    if let Some(literal) = payload.downcast_ref::<&'static str>() {
        return (*literal).to_owned();
    }
    without_values(payload.downcast_ref::<String>().map_or("", String::as_str))
}

/// A message that was put together at run time, up to where it begins to show a value.
pub fn without_values(message: &str) -> String {
    let shown: String = message
        .split(VALUE_BEGINS)
        .next()
        .unwrap_or_default()
        .chars()
        .take_while(|c| !c.is_control())
        .take(SHOWN_CHARS_MAX)
        .collect();
    match shown.len() < message.len() {
        true => format!("{shown}(values left out)"),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;

    use super::*;

    fn message(panics: impl FnOnce() + panic::UnwindSafe) -> String {
        let payload: Box<dyn Any + Send> = panic::catch_unwind(panics).unwrap_err();
        shown(payload.as_ref())
    }

    #[test]
    fn a_message_ends_where_a_value_begins() {
        let secret = String::from("s3cret\u{e9}");
        let failed: Result<(), String> = std::hint::black_box(Err(secret.clone()));
        let bytes: Result<(), Vec<u8>> = std::hint::black_box(Err(secret.clone().into_bytes()));
        for told in [
            message({
                let failed = failed.clone();
                move || failed.unwrap()
            }),
            message(move || failed.expect("it works")),
            message(move || bytes.unwrap()),
            message({
                let secret = secret.clone();
                move || drop(secret[..7].to_owned())
            }),
            message(move || assert_eq!(secret, "")),
        ] {
            assert!(!told.contains("s3cret") && !told.contains("115"), "{told}");
            assert!(told.ends_with("(values left out)"), "{told}");
        }
    }

    #[test]
    fn what_shows_no_value_is_told_whole() {
        let at = std::hint::black_box(3);
        let told = message(move || drop([1, 2, 3][at].to_string()));
        assert_eq!(told, "index out of bounds: the len is 3 but the index is 3");
        assert_eq!(message(|| panic!("a word")), "a word");
    }
}
