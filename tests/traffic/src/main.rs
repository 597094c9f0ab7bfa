//! Makes packets whose number is known, for the kernel tests and the benchmark.
//!
//! Each command prints one line of JSON about what it really did. Servers print `ready` and end when their standard
//! input closes, so that none outlives the test that started it.

mod args;
mod blast;
mod clock;
mod converse;
mod hooks;
mod net;
mod newflows;
mod play;
mod raw;
mod scan;
mod serve;

use args::Args;
use std::process::ExitCode;

const USAGE: &str = "usage: traffic COMMAND --name value …
  serve    --port P                       answers the conversations of `converse`, TCP and UDP, IPv4 and IPv6
  sink     --port P --ports N             takes UDP on N ports and reads nothing: no answer, no ICMP error
  converse --protocol tcp|udp --to ADDR --port P --source-port BASE --flows N [--concurrency 2] [--rounds 1]
           [--request 100] [--reply 200] [--gap-ms 0]
  blast    --to ADDR --port P --source-port BASE [--flows 1] [--threads 2] [--size 18] [--burst 64] [--pause-us 0]
           (--packets PER_THREAD | --seconds S | --until-eof 1)
  newflows --to FIRST_ADDR_OF_A_16 --port P --source-port S --rate FLOWS_PER_SECOND --seconds S [--size 18]
  raw      --to ADDR --protocol NUMBER --packets N [--size 64]
  ping     --to ADDR --count N [--size 56]
  scan     --to ADDR --port P --source-port S [--ports 1]     connects to closed ports, one after the other
  play     --places NAMESPACE_PATH:INTERFACE,…                puts frames from standard input on interfaces
  clock    --seconds S --hold-ms MS                           steps the wall clock for a moment
  hooks    --interface NAME               ids of the TCX programs attached to it";

type Outcome = Result<String, Box<dyn std::error::Error>>;

fn run() -> Outcome {
    let mut words = std::env::args().skip(1);
    let command = words.next().ok_or(USAGE)?;
    let args = Args::parse(words)?;
    match command.as_str() {
        "serve" => serve::serve(&args),
        "sink" => serve::sink(&args),
        "converse" => converse::converse(&args),
        "blast" => blast::blast(&args),
        "newflows" => newflows::newflows(&args),
        "raw" => raw::raw(&args),
        "ping" => raw::ping(&args),
        "scan" => scan::scan(&args),
        "play" => play::play(&args),
        "clock" => clock::clock(&args),
        "hooks" => hooks::hooks(&args),
        _ => Err(USAGE.into()),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("traffic: {error}");
            ExitCode::FAILURE
        }
    }
}
