//! Java properties files, as `java.util.Properties.load` reads them: `websocket.conf` is one.
//!
//! It turns text into settings with their line numbers and knows no key. Unlike Java it wants UTF-8
//! (Java 4.0.8 reads ISO-8859-1; the shipped file is ASCII, where both agree).

use super::{Mistake, Place, Setting};

/// The settings of a file in order, doubled keys included. `file` is its name for messages.
///
/// Separators are `=`, `:` or white space; `#` and `!` start a comment line; a `\` at the end of a line
/// continues it; `\t \n \r \f \uXXXX` are escapes and a `\` before anything else is dropped. Values are trimmed,
/// as Pulsar's loader does. A key without a value has the empty value.
///
/// # Errors
/// A malformed `\uXXXX`, with its line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Setting>, Vec<Mistake>> {
    let mut settings = Vec::new();
    let mut mistakes = Vec::new();
    for (line, logical) in logical_lines(text) {
        let place = Place::Line {
            file: file.to_string(),
            line,
        };
        let (key, value) = divide(&logical);
        match (unescape(key), unescape(value)) {
            (Some(key), Some(value)) => settings.push(Setting {
                key,
                value: value.trim().to_string(),
                place,
            }),
            _ => mistakes.push(Mistake::at(
                &place,
                "a \\u escape without four hex digits of a character",
            )),
        }
    }
    if mistakes.is_empty() {
        Ok(settings)
    } else {
        Err(mistakes)
    }
}

/// Natural lines with comments and blank ones left out and continuations joined, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, natural) in natural_lines(text).enumerate() {
        let natural = natural.trim_start_matches([' ', '\t', '\u{c}']);
        if open.is_none() && (natural.is_empty() || natural.starts_with(['#', '!'])) {
            continue;
        }
        let (number, mut logical) = open.take().unwrap_or((index + 1, String::new()));
        let backslashes = natural.len() - natural.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            logical.push_str(&natural[..natural.len() - 1]);
            open = Some((number, logical));
        } else {
            logical.push_str(natural);
            lines.push((number, logical));
        }
    }
    lines.extend(open);
    lines
}

/// Lines ended by `\n`, `\r\n` or a lone `\r`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Key and value, both still escaped.
fn divide(logical: &str) -> (&str, &str) {
    let blank = [' ', '\t', '\u{c}'];
    let mut escaped = false;
    let end = logical
        .char_indices()
        .find(|&(_, c)| {
            let ends = !escaped && (blank.contains(&c) || c == '=' || c == ':');
            escaped = c == '\\' && !escaped;
            ends
        })
        .map_or(logical.len(), |(at, _)| at);
    let rest = logical[end..].trim_start_matches(blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&logical[..end], value.trim_start_matches(blank))
}

/// None when a `\u` escape is malformed or half of a character. `\u` counts UTF-16 units, so two may make one character.
fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut pair = [0; 2];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut pair));
            continue;
        }
        let plain = match chars.next() {
            None => break,
            Some('u') => {
                let digits = chars.as_str().get(..4)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                units.push(u16::from_str_radix(digits, 16).ok()?);
                chars = chars.as_str()[4..].chars();
                continue;
            }
            Some('t') => '\t',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('f') => '\u{c}',
            Some(other) => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut pair));
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        parse("f", text)
            .unwrap()
            .into_iter()
            .map(|setting| match &setting.place {
                Place::Line { line, .. } => (*line, setting.key.clone(), setting.value.clone()),
                other => panic!("{other}"),
            })
            .collect()
    }

    fn pair(text: &str) -> (String, String) {
        let (_, key, value) = pairs(text).remove(0);
        (key, value)
    }

    #[test]
    fn comments_and_blank_lines_count_but_say_nothing() {
        let text = "# a=1\n\n  ! b=2\r\n   key = value  \n";
        assert_eq!(pairs(text), [(4, "key".into(), "value".into())]);
    }

    #[test]
    fn every_separator_of_java_ends_a_key() {
        for text in ["k=v", "k:v", "k v", "k\tv", "k = v", "k  :\tv"] {
            assert_eq!(pair(text), ("k".into(), "v".into()), "{text:?}");
        }
        assert_eq!(pair("k"), ("k".into(), String::new()));
        assert_eq!(pair("k=a=b"), ("k".into(), "a=b".into()));
        assert_eq!(pair("k\\=x=v"), ("k=x".into(), "v".into()));
    }

    #[test]
    fn a_backslash_at_the_end_continues_the_line() {
        let text = "hosts=a,\\\n      b,\\\r\n  c\nnext=1\\\\\nlast=2\\";
        assert_eq!(
            pairs(text),
            [
                (1, "hosts".into(), "a,b,c".into()),
                (4, "next".into(), "1\\".into()),
                (5, "last".into(), "2".into())
            ]
        );
    }

    #[test]
    fn escapes_are_java_s() {
        assert_eq!(
            pair("k=a\\tb\\u00e9\\ud83d\\ude00\\q"),
            ("k".into(), "a\tb\u{e9}\u{1f600}q".into())
        );
    }

    #[test]
    fn a_bad_unicode_escape_is_a_mistake_with_its_line() {
        for bad in ["\\u12", "\\u+123", "\\uzzzz", "\\ud83d", "\\u12é4"] {
            let mistakes = parse("w.conf", &format!("a=1\nk={bad}\n")).unwrap_err();
            assert!(
                mistakes[0].to_string().starts_with("w.conf line 2: "),
                "{bad}"
            );
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(if cfg!(miri) { 8 } else { 512 }))]
        #[test]
        fn any_text_is_read_or_refused(text in "[ \\\\\\n\\r=:#uab0é]{0,60}") {
            let _ = parse("f", &text);
        }
    }
}
