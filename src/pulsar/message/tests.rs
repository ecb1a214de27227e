//! Splitting against batches that prost built; lies and garbage.
