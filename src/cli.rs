//! Command line flags.
