//! JSON as Jackson reads it, in place.
//!
//! The gateway's clients are written against Jackson's reading: a number keeps its literal where text is due (`1e3`
//! comes back as `"1e3"`), what follows the document is not looked at, a lone surrogate is a `?`, the last of two equal
//! fields counts. A tape parser forgets number literals and refuses the rest, so [`Reader`] is a pull reader of our own:
//! one pass, strings unescaped where they lie, no recursion, no allocation. [`scalar`] holds Jackson's coercions.
//!
//! Not for output: the frames that the gateway writes are put together in `delivery` and `response` with [`escape`].

pub mod escape;
mod reader;
pub mod scalar;
mod string;

pub use reader::{JsonError, Reader, Value};
