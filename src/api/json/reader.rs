//! The pull reader: one token at a time out of a frame that it owns until the end.
//!
//! It must not recurse (nesting is the client's choice) and must not allocate.

use std::fmt;
use std::mem;

use super::string;

/// How deep arrays and objects may nest: Jackson's own limit (`StreamReadConstraints`, 1000).
pub const MAX_DEPTH: usize = 1000;

/// The longest number literal, in bytes: Jackson's own limit (`StreamReadConstraints`, 1000).
const MAX_NUMBER_BYTES: usize = 1000;

/// A scalar, or the opening bracket of a container whose content is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Unescaped, UTF-8 not verified: [`super::scalar::text`] does that for the fields that are kept.
    Text(&'a [u8]),
    /// The literal, as it was written.
    Number(&'a [u8]),
    True,
    False,
    Null,
    Object,
    Array,
}

/// What is wrong, and at which byte of the frame, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    pub what: &'static str,
    pub at: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

/// Reads a document (RFC 8259) from the front; what it has read is left unescaped in the frame's own bytes.
pub struct Reader<'a> {
    rest: &'a mut [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    pub fn new(frame: &'a mut [u8]) -> Reader<'a> {
        Reader {
            len: frame.len(),
            rest: frame,
        }
    }

    /// The next value; of a container only its opening bracket.
    pub fn value(&mut self) -> Result<Value<'a>, JsonError> {
        self.skip_space();
        match self.rest.first() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => Ok(self.bracket(Value::Object)),
            Some(b'[') => Ok(self.bracket(Value::Array)),
            Some(b't') => self.word(b"true", Value::True),
            Some(b'f') => self.word(b"false", Value::False),
            Some(b'n') => self.word(b"null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.error("unexpected character")),
            None => Err(self.error("unexpected end")),
        }
    }

    /// The next key of an object, its colon read too; None: the object has ended.
    /// `first` is true before the first key and is cleared here.
    pub fn key(&mut self, first: &mut bool) -> Result<Option<&'a [u8]>, JsonError> {
        if !self.goes_on(b'}', first)? {
            return Ok(None);
        }
        self.skip_space();
        if self.rest.first() != Some(&b'"') {
            return Err(self.error("a field name is missing"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.rest.first() != Some(&b':') {
            return Err(self.error("a colon is missing"));
        }
        self.advance(1);
        Ok(Some(key))
    }

    /// Whether an array has one more element; `first` as in [`Reader::key`].
    pub fn element(&mut self, first: &mut bool) -> Result<bool, JsonError> {
        self.goes_on(b']', first)
    }

    /// Reads on to the end of `value` when it is a container, checking all of it.
    pub fn skip(&mut self, value: Value<'a>) -> Result<(), JsonError> {
        let mut open = Nesting::default();
        let mut value = value;
        loop {
            let mut first = match value {
                Value::Object => open.push(true),
                Value::Array => open.push(false),
                _ => Some(false),
            }
            .ok_or_else(|| self.error("nested too deep"))?;
            // Close what ends here; stop at the next value of what is still open.
            loop {
                let Some(is_object) = open.top() else {
                    return Ok(());
                };
                let more = if is_object {
                    self.key(&mut first)?.is_some()
                } else {
                    self.element(&mut first)?
                };
                if more {
                    break;
                }
                open.pop();
                first = false;
            }
            value = self.value()?;
        }
    }

    /// An error at the byte that comes next.
    pub fn error(&self, what: &'static str) -> JsonError {
        JsonError {
            what,
            at: self.len - self.rest.len() + 1,
        }
    }

    fn goes_on(&mut self, close: u8, first: &mut bool) -> Result<bool, JsonError> {
        self.skip_space();
        let was_first = mem::replace(first, false);
        match self.rest.first() {
            Some(&byte) if byte == close => {
                self.advance(1);
                Ok(false)
            }
            Some(_) if was_first => Ok(true),
            Some(b',') => {
                self.advance(1);
                Ok(true)
            }
            Some(_) => Err(self.error("a comma or closing bracket is missing")),
            None => Err(self.error("unexpected end")),
        }
    }

    fn bracket(&mut self, value: Value<'a>) -> Value<'a> {
        self.advance(1);
        value
    }

    fn word(&mut self, word: &'static [u8], value: Value<'a>) -> Result<Value<'a>, JsonError> {
        let ends = !matches!(self.rest.get(word.len()), Some(b) if b.is_ascii_alphanumeric() || *b == b'_');
        if self.rest.starts_with(word) && ends {
            self.advance(word.len());
            return Ok(value);
        }
        Err(self.error("unknown word"))
    }

    fn number(&mut self) -> Result<Value<'a>, JsonError> {
        let end = number_end(self.rest).map_err(|what| self.error(what))?;
        if end > MAX_NUMBER_BYTES {
            return Err(self.error("number too long"));
        }
        Ok(Value::Number(self.take(end)))
    }

    /// The string that begins at the next byte, its quotes dropped.
    fn string(&mut self) -> Result<&'a [u8], JsonError> {
        self.advance(1);
        let clean = string::clean_prefix(self.rest);
        if self.rest.get(clean) == Some(&b'"') {
            let text = self.take(clean);
            self.advance(1);
            return Ok(text);
        }
        let found = string::unescape(self.rest, clean).map_err(|(what, at)| {
            let before = self.len - self.rest.len();
            JsonError {
                what,
                at: before + at + 1,
            }
        })?;
        let raw = self.take(found.read);
        Ok(&raw[..found.written])
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.rest.first() {
            self.advance(1);
        }
    }

    fn advance(&mut self, count: usize) {
        let _ = self.take(count);
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = mem::take(&mut self.rest).split_at_mut(count);
        self.rest = rest;
        taken
    }
}

/// Where the number literal at the front ends (RFC 8259 §6).
fn number_end(bytes: &[u8]) -> Result<usize, &'static str> {
    let digits = |from: usize| -> usize {
        let tail = bytes.get(from..).unwrap_or_default();
        from + tail.iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let start = usize::from(bytes.first() == Some(&b'-'));
    let mut end = digits(start);
    if end == start {
        return Err("a digit is missing");
    }
    if bytes[start] == b'0' && end > start + 1 {
        return Err("a number has a leading zero");
    }
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if fraction == end + 1 {
            return Err("a digit is missing behind the decimal point");
        }
        end = fraction;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent == end + 1 + sign {
            return Err("a digit is missing in the exponent");
        }
        end = exponent;
    }
    Ok(end)
}

/// The containers that are open while a value is skipped, one bit each: set = object.
struct Nesting {
    bits: [u64; MAX_DEPTH.div_ceil(64)],
    depth: usize,
}

impl Default for Nesting {
    fn default() -> Nesting {
        Nesting {
            bits: [0; MAX_DEPTH.div_ceil(64)],
            depth: 0,
        }
    }
}

impl Nesting {
    /// Some(true), for "no element read yet"; None: too deep. The document itself is one level.
    fn push(&mut self, is_object: bool) -> Option<bool> {
        if self.depth + 1 >= MAX_DEPTH {
            return None;
        }
        let (word, bit) = (self.depth / 64, 1u64 << (self.depth % 64));
        if is_object {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
        self.depth += 1;
        Some(true)
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn top(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.bits[last / 64] >> (last % 64) & 1 == 1)
    }
}
