//! Rules of the core, on scripted connections.
