//! The test S3 server, asked by the client that the project uses and by raw HTTP; and the floors of the workspace.

mod admin;
mod client;
mod conditional;
mod faults;
mod floors;
mod multipart;
mod objects;
mod outage;
mod raw;
mod wire;
