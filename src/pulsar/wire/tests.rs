//! Hand-written codecs against prost and the `pulsar` crate's own frames; lies and garbage.

use proptest::prelude::*;

/// Few cases under Miri, which is some hundred times slower and has no files to keep failures in.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
