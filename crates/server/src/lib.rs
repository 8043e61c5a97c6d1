//! The binary: command line, configuration, role wiring, HTTP edge.
