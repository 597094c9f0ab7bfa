//! The command lines of both stages.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Environment variables that the first stage may read; a test holds them against the program.
const VARIABLES: &str = "MERMIN_ALLOW_NET,MERMIN_ATTACH,MERMIN_CONFIG_AUTO_RELOAD,MERMIN_CONFIG_PATH,MERMIN_INSTANCE,\
                         MERMIN_EXPECTED_API_PORT,MERMIN_EXPECTED_METRICS_PORT,MERMIN_EXPECTED_HOST_NETWORK,\
                         MERMIN_EXPECTED_GRACE_SECONDS,MERMIN_LOG_LEVEL,OTEL_SERVICE_NAME,OTEL_RESOURCE_ATTRIBUTES,\
                         KUBECONFIG,NODE_NAME,POD_NAME,POD_NAMESPACE,KUBERNETES_SERVICE_HOST,KUBERNETES_SERVICE_PORT";

/// Deno would send plain HTTP, and nothing else of ours, over these: also to this host, and past its permissions.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

const ISOLATION: [&str; 6] = ["--no-config", "--no-lock", "--no-remote", "--no-npm", "--cached-only", "--no-prompt"];

/// The files that the stages are made of.
pub struct Parts {
    /// A path, or a name to look for in `PATH`.
    pub deno: PathBuf,
    script: PathBuf,
    library: PathBuf,
    /// Whether Deno may keep compiled code and notes in its directory.
    keeps_cache: bool,
}

impl Parts {
    /// Those in `directory`; without a Deno there, the one in `PATH`.
    pub fn beside(directory: &Path) -> Self {
        let deno = directory.join("deno");
        Self {
            deno: if deno.is_file() { deno } else { "deno".into() },
            script: directory.join("mermin.js"),
            library: directory.join("libmermin_loader.so"),
            keeps_cache: true,
        }
    }

    /// Those in `directory` of the single executable, which runs only what it has packed and leaves nothing elsewhere.
    pub fn unpacked(directory: &Path) -> Self {
        Self { keeps_cache: false, ..Self::beside(directory) }
    }

    /// Deno with the arguments of one stage.
    pub fn command(&self, args: Vec<OsString>) -> Command {
        let mut command = Command::new(&self.deno);
        let has_home = ["HOME", "XDG_CACHE_HOME"].into_iter().any(|name| env::var_os(name).is_some());
        // Deno does not start without a directory of its own, and goes on when it cannot make one: this is a file.
        let deno_dir = (!self.keeps_cache || !has_home).then(|| self.script.clone().into());
        command.args(args).envs(environment(deno_dir));
        for proxy in PROXIES {
            command.env_remove(proxy);
        }
        command
    }

    /// Arguments of the first stage, which may read `files`.
    pub fn first_stage(&self, files: &[OsString], args: &[OsString]) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec!["run".into()];
        all.extend(ISOLATION.map(Into::into));
        if !files.is_empty() {
            all.push(joined("--allow-read=", files.join(OsStr::new(","))));
        }
        all.push(joined("--allow-env=", VARIABLES));
        all.push(joined("--allow-ffi=", &self.library));
        all.extend([self.script.clone().into(), "permissions".into()]);
        all.extend_from_slice(args);
        all
    }

    /// Arguments of the second stage, with the permissions `flags`.
    pub fn second_stage(&self, flags: &[OsString], args: &[OsString]) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec!["run".into()];
        all.extend_from_slice(flags);
        all.extend(ISOLATION.map(Into::into));
        // --expose-gc is for src/kubernetes/compact_heap.ts.
        all.push("--v8-flags=--max-semi-space-size=2,--expose-gc".into());
        all.push(self.script.clone().into());
        all.extend_from_slice(args);
        all
    }
}

/// Variables of both stages, unless the user has set them.
fn environment(deno_dir: Option<OsString>) -> Vec<(&'static str, OsString)> {
    let deno_dir = deno_dir.map(|path| ("DENO_DIR", path));
    let ours = [
        ("DENO_NO_UPDATE_CHECK", "1"),
        // Collectors are often certified by an authority that only the host knows.
        ("DENO_TLS_CA_STORE", "system,mozilla"),
        // Buffers that a burst needed go back to the system when it is over; see docs/decisions.md for figures.
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ]
    .map(|(name, value)| (name, OsString::from(value)));
    let is_given = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    ours.into_iter().chain(deno_dir).filter(|(name, _)| !is_given(name)).collect()
}

/// What the first stage said.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// The second stage runs with these permission flags.
    Run(Vec<OsString>),
    /// The configuration names files that say more: the first stage runs again and may read them, too.
    Read(Vec<OsString>),
    /// Its output is for the user.
    Told,
}

impl Answer {
    pub fn of(first: &Output) -> Self {
        let mut lines = first.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let word = lines.next().filter(|_| first.status.success());
        let rest = lines.map(|line| OsString::from_vec(line.to_vec())).collect();
        match word {
            Some(b"run") => Self::Run(rest),
            Some(b"read") => Self::Read(rest),
            _ => Self::Told,
        }
    }
}

/// Every argument, and `config` (`MERMIN_CONFIG_PATH`), that may be the configuration.
pub fn config_files(args: &[OsString], config: Option<&OsStr>) -> Vec<OsString> {
    let names = config.into_iter().chain(args.iter().map(OsString::as_os_str)).map(|arg| {
        let arg = arg.as_bytes();
        let arg = arg.strip_prefix(b"--config=").unwrap_or(arg);
        arg.strip_prefix(b"-c").unwrap_or(arg)
    });
    // Deno's lists have no way to write a comma; the program says so.
    names.filter(|name| !name.is_empty() && !name.contains(&b',')).map(|name| OsStr::from_bytes(name).into()).collect()
}

fn joined(flag: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut all = OsString::from(flag);
    all.push(value);
    all
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::*;

    fn strings(list: &[&str]) -> Vec<OsString> {
        list.iter().map(Into::into).collect()
    }

    fn said(stdout: &str, code: i32) -> Answer {
        let status = ExitStatus::from_raw(code << 8);
        Answer::of(&Output { status, stdout: stdout.into(), stderr: Vec::new() })
    }

    #[test]
    fn the_first_line_of_an_answer_says_what_the_others_are() {
        let flags = ["--allow-net=a:1", "--allow-env=A B"];
        assert_eq!(said("run\n--allow-net=a:1\n--allow-env=A B\n", 0), Answer::Run(strings(&flags)));
        assert_eq!(said("run\n", 0), Answer::Run(vec![]));
        assert_eq!(said("read\n/etc/a b\n", 0), Answer::Read(strings(&["/etc/a b"])));
        for (stdout, code) in [("run\n", 2), ("read\n", 1), ("--allow-net=a:1\n", 0), ("", 0)] {
            assert_eq!(said(stdout, code), Answer::Told, "{stdout:?}");
        }
    }

    #[test]
    fn what_may_be_the_configuration_is_found() {
        let cases: [(&[&str], Option<&str>, &[&str]); 5] = [
            (&[], None, &[]),
            (&["--config", "a.hcl"], None, &["--config", "a.hcl"]),
            (&["--config=a b.hcl"], Some("env.hcl"), &["env.hcl", "a b.hcl"]),
            (&["-c/a.hcl", "--interface", "a,b"], Some(""), &["/a.hcl", "--interface"]),
            (&["validate", "a.hcl"], None, &["validate", "a.hcl"]),
        ];
        for (args, config, expected) in cases {
            assert_eq!(config_files(&strings(args), config.map(OsStr::new)), strings(expected), "{args:?}");
        }
    }

    #[test]
    fn the_first_stage_may_read_only_its_files() {
        let parts = Parts::beside(Path::new("/nowhere"));
        let reads = |files: &[&str]| {
            let all = parts.first_stage(&strings(files), &[]);
            all.into_iter().filter(|arg| arg.as_bytes().starts_with(b"--allow-read")).collect::<Vec<_>>()
        };
        assert_eq!(reads(&[]), strings(&[]));
        assert_eq!(reads(&["a", "b c"]), strings(&["--allow-read=a,b c"]));
        assert_eq!(parts.deno, Path::new("deno"));
    }
}
