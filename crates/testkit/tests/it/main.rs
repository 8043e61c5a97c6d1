//! The test S3 server, asked by the client that the project uses and by raw HTTP; and what holds
//! for the workspace as a whole.

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
