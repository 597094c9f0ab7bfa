# What the scripts of this folder share: versions, the place for tools, progress. They source it in the repository's root.

DENO_VERSION=2.9.6
RUST_VERSION=1.90.0 # the oldest that builds everything
BPF_LINKER_VERSION=0.13.0

tools=${MERMIN_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mermin-tools}
deno_dir=$tools/deno-$DENO_VERSION

say() { printf '%s\n' "$*" >&2; }
die() { say "$*" && exit 1; }

# step TEXT COMMAND...: runs COMMAND behind one line with its seconds, and shows its output only when it fails.
step() {
  printf '%s ... ' "$1" >&2
  shift
  step_log=$(mktemp) step_start=$(date +%s)
  set +e # `||` would switch it off inside the command too
  (set -e && "$@") >"$step_log" 2>&1
  step_code=$?
  set -e
  if [ "$step_code" = 0 ]; then say "$(($(date +%s) - step_start)) s"; else say failed && cat "$step_log" >&2; fi
  rm "$step_log"
  return "$step_code"
}

# lock FILE: waits until no other script holds FILE, then holds it until this one ends.
lock() {
  exec 9>"$1"
  flock -n 9 || { say "$0 waits for another run" && flock 9; }
}

have() { command -v "$1" >/dev/null 2>&1; }
at_least() { printf '%s\n' "$2" "$1" | sort -VC; }
has_deno() { at_least "$(deno -V 2>/dev/null | cut -d' ' -f2)" "$DENO_VERSION"; }
has_cargo() { at_least "$("${1:-cargo}" -V 2>/dev/null | cut -d' ' -f2)" "$RUST_VERSION"; }

# Where the Rust that compiles for BPF lives: Debian's or a rustup nightly, with core for that target or its source.
bpf_rust() {
  for rust_dir in /usr "$(rustup run nightly rustc --print sysroot 2>/dev/null)"; do
    has_cargo "$rust_dir/bin/cargo" || continue
    [ -d "$rust_dir/lib/rustlib/bpfel-unknown-none" ] || has_core_source "$rust_dir" || continue
    echo "$rust_dir" && return
  done
}
has_core_source() { [ -d "$1/lib/rustlib/src/rust/library/core" ]; }

# bpf-linker reads what that Rust writes, so it is built with the same LLVM.
llvm_version() { "$1/bin/rustc" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p'; }
linker_dir() { echo "$tools/bpf-linker-$BPF_LINKER_VERSION-llvm-$(llvm_version "$1")"; }

# Puts the tools on PATH wherever the machine has nothing new enough of its own.
use_tools() {
  PATH=$PATH:/usr/sbin:/sbin
  has_deno || PATH=$deno_dir/bin:$PATH
  has_cargo || PATH=/usr/bin:$PATH
  [ ! -d tests ] || use_test_tools
  DENO_NO_UPDATE_CHECK=1
  export PATH DENO_NO_UPDATE_CHECK
}

# Programs and maps are pinned there; systemd mounts it, a container often lacks it.
mount_bpffs() { [ "$(stat -fc %T /sys/fs/bpf)" = bpf_fs ] || mount -t bpf bpf /sys/fs/bpf; }

# The image is built without the tests.
[ ! -d tests ] || . tools/lib-test.sh
