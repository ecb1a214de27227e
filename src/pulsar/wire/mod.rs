//! The binary protocol: frames, hot commands by hand, the rest by prost.
