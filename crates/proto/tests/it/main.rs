//! Tests of the wire formats.

mod builder;
mod chunks;
mod corpus;
mod frames;
mod recorded;
mod remote_write;
mod remote_write_rules;
mod samples;
mod sent;
mod type_and_unit;
