//! Copies the built BPF object next to the code that embeds it, aligned as ELF wants it.
use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=MERMIN_BPF_OBJECT");
    let object = env::var_os("MERMIN_BPF_OBJECT")
        .map_or_else(|| PathBuf::from("../bpf-rs/target/bpfel-unknown-none/release/mermin"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("mermin.bpf.o");
    if let Err(error) = fs::copy(&object, &out) {
        panic!(
            "cannot read the BPF object {}: {error}; run `deno task build`, which builds it first",
            object.display()
        );
    }
}
