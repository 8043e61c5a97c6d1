//! Tests of the S3 server, with the client that the project uses and with raw HTTP; and tests of
//! the workspace as a whole.

mod admin;
mod circles;
mod client;
mod commands;
mod conditional;
mod documents;
mod faults;
mod floors;
mod multipart;
mod objects;
mod outage;
mod prompb;
mod raw;
mod wire;
