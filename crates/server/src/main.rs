//! The binary `duramen`.

use std::ffi::c_char;
use std::process::ExitCode;

use duramen_server::Settings;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The settings of the allocator, which finds them by this name. Freed memory goes back to the
/// system within about a second, on a thread of the allocator. So the memory that the system counts
/// follows the account.
///
/// The allocator would give memory of 8 MiB and more back at once. A query takes several such pieces
/// for each batch, and the kernel clears each page anew: half of the time of a scan over a day.
/// `oversize_threshold:0` lets such memory stay for the same second.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: AllocatorSettings = AllocatorSettings(
    c"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,oversize_threshold:0".as_ptr(),
);

/// A `const char *` in C.
#[repr(transparent)]
#[derive(Debug)]
pub struct AllocatorSettings(*const c_char);

// SAFETY: the pointer leads to a constant, which nobody writes.
unsafe impl Sync for AllocatorSettings {}

/// The exit code for settings and arguments that are wrong. What goes wrong later ends with 1.
const WRONG_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    let command = match Settings::load(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return told(&error, ExitCode::from(WRONG_SETTINGS)),
    };

    duramen_server::logging::init(command.log_level(), command.log_format());

    command
        .run()
        .unwrap_or_else(|error| told(&error, ExitCode::FAILURE))
}

/// Says why the process ends, in the form that all of its commands have.
#[expect(clippy::print_stderr, reason = "for whoever has started the process")]
fn told(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("error: {error:#}");
    code
}
