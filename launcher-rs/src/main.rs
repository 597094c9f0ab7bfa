//! Starts Mermin in two stages, because what it may touch depends on its configuration.
//!
//! `mermin.js permissions` reads that and prints the line `run`, then one permission flag a line; the second stage runs with
//! these alone, in the place of this process. The line `read` comes before files that it must read to know. Any other output
//! (help, an error) and its exit code are the answer.
//! In the single executable the files of both stages are behind this program; see `payload.rs` and `cache.rs`.

mod cache;
mod payload;
mod stages;

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::Write,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{ExitCode, Output, Stdio},
};

use payload::Payload;
use stages::{Answer, Parts};

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    start(&args).unwrap_or_else(|message| {
        eprintln!("mermin: {message}");
        ExitCode::FAILURE
    })
}

/// Returns only when there is no second stage, or when it cannot be started.
fn start(args: &[OsString]) -> Result<ExitCode, String> {
    let parts = parts()?;
    let mut files = stages::config_files(args, env::var_os("MERMIN_CONFIG_PATH").as_deref());
    let mut first = first_stage(&parts, &files, args)?;
    if let Answer::Read(more) = Answer::of(&first) {
        files.extend(more);
        first = first_stage(&parts, &files, args)?;
    }
    let Answer::Run(flags) = Answer::of(&first) else {
        return pass_on(&first);
    };
    let error = parts.command(parts.second_stage(&flags, args)).exec();
    Err(cannot_run(&parts, &error))
}

fn first_stage(parts: &Parts, files: &[OsString], args: &[OsString]) -> Result<Output, String> {
    let mut command = parts.command(parts.first_stage(files, args));
    command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
    command.output().map_err(|error| cannot_run(parts, &error))
}

/// The files of both stages: unpacked from this executable, or beside it.
fn parts() -> Result<Parts, String> {
    let path = env::current_exe().map_err(|error| format!("Cannot find this program in /proc: {error}"))?;
    // By the link, which still works when a newer version has replaced the file.
    let executable = File::open("/proc/self/exe");
    let mut executable = executable.map_err(|error| format!("Cannot read {}: {error}", path.display()))?;
    match Payload::of(&mut executable).map_err(|error| format!("{} is damaged: {error}", path.display()))? {
        Some(payload) => Ok(Parts::unpacked(&cache::unpacked(executable, &payload)?)),
        None => Ok(Parts::beside(path.parent().unwrap_or(Path::new("/")))),
    }
}

/// Passes on what the first stage said.
fn pass_on(first: &Output) -> Result<ExitCode, String> {
    let written = std::io::stdout().write_all(&first.stdout);
    written.map_err(|error| format!("Cannot write to standard output: {error}"))?;
    // A shell names a death by a signal like this.
    let code = first.status.code().unwrap_or_else(|| 128 + first.status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn cannot_run(parts: &Parts, error: &std::io::Error) -> String {
    let deno = parts.deno.display();
    match error.raw_os_error() {
        Some(libc::EACCES) => format!(
            "Cannot run {deno}: {error}; if its file system is mounted noexec, name a directory on another one in MERMIN_CACHE_DIR"
        ),
        // The kernel says this of a program whose loader is missing, too.
        Some(libc::ENOENT) if parts.deno.exists() => {
            format!("Cannot run {deno}: this system lacks the C library that Deno needs (glibc)")
        }
        _ => format!("Cannot run {deno}: {error}"),
    }
}
