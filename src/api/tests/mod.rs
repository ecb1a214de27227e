//! Tests of the whole room; those of one file stand beside it.
