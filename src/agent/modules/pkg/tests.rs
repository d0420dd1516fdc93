//! The module with scripts in place of the package managers, and with this host's package manager.

#![expect(clippy::disallowed_methods, reason = "tests create and read their own files")]

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::testing::{self, reword};
use super::*;
use crate::agent::child::testing::write_program;

/// The output of `rpm -qa` in the recordings.
const RPM_LIST: &str = "\
kernel 5.14.0-70.el9 x86_64
kernel 5.14.0-162.el9 x86_64
alpha 1:1.0-1 noarch
gpg-pubkey fd431d51-4ae0493b (none)
toofew 1.0
";

/// The packages of dpkg in the recordings: state, name, version and architecture.
const DPKG_LIST: [(&str, &str, &str, &str); 13] = [
    ("ii", "alpha", "1.0-1", "amd64"),
    ("ii", "beta:amd64", "2:2.0~rc1+dfsg-3", "amd64"),
    ("ii", "beta:i386", "2:2.0~rc1+dfsg-3", "i386"),
    ("ii", "gamma", "0.1", "all"),
    ("rc", "removed", "1.0", "amd64"),
    ("hi", "held", "3.0", "amd64"),
    ("iU", "unpacked", "4.0", "amd64"),
    ("iF", "halfconf", "4.1", "amd64"),
    ("iiR", "reinst", "4.2", "amd64"),
    ("ii", "nodesc", "5.0", "amd64"),
    ("ii", "short", "6.0", ""),
    ("ri", "leaving", "7.0", "amd64"),
    ("un", "never", "", ""),
];

fn status(state: &str) -> &'static str {
    match state {
        "ii" => "install ok installed",
        "hi" => "hold ok installed",
        "ri" => "deinstall ok installed",
        "iiR" => "install reinstreq installed",
        "iU" => "install ok unpacked",
        "iF" => "install ok half-configured",
        "rc" => "deinstall ok config-files",
        _ => "unknown ok not-installed",
    }
}

/// A folder of programs, which is the whole `PATH`.
struct Programs(TempDir);

impl Programs {
    fn new() -> Programs {
        let programs = Programs(tempfile::tempdir().unwrap());
        symlink("/bin/cat", programs.0.path().join("cat")).unwrap();
        programs
    }

    fn with(self, program: &str, script: &str) -> Programs {
        write_program(&self.0.path().join(program), script);
        self
    }

    fn with_rpm(self) -> Programs {
        self.with("rpm", &format!("[ $# = 3 -a \"$1\" = -qa ] || exit 9\ncat <<'E'\n{RPM_LIST}E"))
    }

    fn with_dpkg_query(self, exit: i32) -> Programs {
        let mut list = String::new();
        for (state, name, version, arch) in DPKG_LIST {
            // The line of a package without architecture ends before it.
            let tail = if arch.is_empty() { String::new() } else { format!("\t{arch}") };
            list += &format!("{}\t{name}\t{version}{tail}\n", status(state));
        }
        let script = format!("[ \"$1 $2\" = '-W -f' ] || exit 9\ncat <<'E'\n{list}E\nexit {exit}");
        self.with("dpkg-query", &script)
    }

    fn with_dpkg(self) -> Programs {
        let mut list = "||/ Name    Version    Architecture Description\n".to_owned();
        for (state, name, version, arch) in DPKG_LIST {
            list += &format!("{state:<4}{name:<14} {version:<18} {arch:<12} package\n");
        }
        // Without an architecture, the next word would be read in its place.
        let list = list.replace("6.0                             package", "6.0");
        self.with("dpkg", &format!("[ \"$*\" = -l ] || exit 9\ncat <<'E'\n{list}E"))
    }

    fn path(&self) -> OsString {
        self.0.path().into()
    }
}

fn run_with(parameters: &Value, path: &OsStr) -> Value {
    let parameters: Box<RawValue> = serde_json::from_str(&parameters.to_string()).unwrap();
    let mut result = serde_json::to_value(run(&parameters, path).unwrap()).unwrap();
    assert!(result["statistics"]["execruntime"].take().as_str().unwrap().ends_with('s'));
    result
}

fn recordings() -> impl Iterator<Item = (String, Value)> {
    testing::recordings("pkg").into_iter().map(|(case, mut recording)| {
        recording["results"][0]["statistics"]["execruntime"].take();
        (case, recording)
    })
}

/// Corrects a recorded result where the original has a defect.
fn correct(case: &str, expected: &mut Value) {
    let package =
        |name, version| json!({"name": name, "version": version, "type": "dpkg", "arch": "amd64"});
    match case {
        // Packages on hold, to be removed, to be reinstalled or not configured are installed.
        "stub-both" | "stub-dpkg-only" => {
            let packages = expected["elements"]["packages"].as_array_mut().unwrap();
            let held = packages.iter().position(|package| package["name"] == "nodesc").unwrap();
            let half = [("unpacked", "4.0"), ("halfconf", "4.1"), ("reinst", "4.2")];
            let there = [("held", "3.0")].into_iter().chain(half);
            packages.splice(held..held, there.map(|(name, version)| package(name, version)));
            packages.push(package("leaving", "7.0"));
        }
        "stub-dpkg-fails" => {
            // Packages that were listed before the failure are in the result.
            let whole = recordings().find(|(case, _)| case == "stub-dpkg-only").unwrap().1;
            *expected = whole["results"][0].clone();
            correct("stub-dpkg-only", expected);
            expected["errors"] = json!(["failed"]);
        }
        "stub-none" => {
            expected["errors"] = json!(["none"]);
        }
        _ => {}
    }
}

#[test]
fn results_with_scripts_equal_the_recordings() {
    let mut replayed = 0;
    for (case, recording) in recordings() {
        let programs = match case.as_str() {
            "stub-both" | "stub-both-version" => Programs::new().with_rpm().with_dpkg_query(0),
            "stub-dpkg-only" => Programs::new().with_dpkg_query(0),
            "stub-rpm-only" => Programs::new().with_rpm(),
            "stub-dpkg-fails" => Programs::new().with_dpkg_query(2),
            "stub-none" => Programs::new(),
            case if case.starts_with("err-") => Programs::new(),
            _ => continue,
        };
        let mut expected = recording["results"][0].clone();
        correct(&case, &mut expected);
        reword("pkg", &case, &mut expected["errors"]);
        assert_eq!(run_with(&recording["parameters"], &programs.path()), expected, "{case}");
        replayed += 1;
    }
    assert_eq!(replayed, 10);
}

/// Recordings of a real host, with a script that lists exactly the packages in them.
#[test]
fn results_of_a_host_equal_the_recordings() {
    let hosts: Vec<_> = recordings()
        .filter(|(case, _)| !case.starts_with("stub-") && !case.starts_with("err-"))
        .collect();
    let mut list = String::new();
    for (_, recording) in &hosts {
        for package in recording["results"][0]["elements"]["packages"].as_array().unwrap() {
            let field = |name: &str| package[name].as_str().unwrap();
            let line = format!(
                "install ok installed\t{}\t{}\t{}\n",
                field("name"),
                field("version"),
                field("arch")
            );
            if !list.contains(&line) {
                list += &line;
            }
        }
    }
    // By name, as dpkg lists them.
    let mut lines: Vec<&str> = list.lines().collect();
    lines.sort_by_key(|line| line.split('\t').nth(1));
    let programs =
        Programs::new().with("dpkg-query", &format!("cat <<'E'\n{}\nE", lines.join("\n")));
    for (case, recording) in &hosts {
        let found = run_with(&recording["parameters"], &programs.path());
        assert_eq!(found, recording["results"][0], "{case}");
    }
    assert_eq!(hosts.len(), 9);
}

#[test]
fn dpkg_lists_the_packages_that_dpkg_query_lists() {
    let all = json!({"pkgmatch": {"matches": ["."]}});
    let better = run_with(&all, &Programs::new().with_dpkg_query(0).path());
    assert_eq!(better["elements"]["packages"].as_array().unwrap().len(), 10);
    assert_eq!(run_with(&all, &Programs::new().with_dpkg().path()), better);
    // It is not run if dpkg-query is installed.
    assert_eq!(run_with(&all, &Programs::new().with_dpkg().with_dpkg_query(0).path()), better);
}

#[test]
fn package_is_listed_once() {
    let programs = Programs::new().with_rpm();
    let result = run_with(&json!({"pkgmatch": {"matches": ["^gpg", "p", ""]}}), &programs.path());
    let packages = result["elements"]["packages"].as_array().unwrap();
    let names: Vec<&str> =
        packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["gpg-pubkey", "alpha", "kernel", "kernel"]);
}

#[test]
fn package_manager_is_killed_at_its_limits() {
    let limits = ManagerLimits { timeout: Duration::from_millis(300), bytes_max: 1 << 20 };
    let sleep = Programs::new().with("rpm", "exec /bin/sleep 100");
    assert_eq!(
        installed(&sleep.path(), limits).1,
        ["rpm exceeded the time limit of 0 s and was killed"]
    );
    let closed = Programs::new().with("rpm", "exec >&-; exec /bin/sleep 100");
    assert_eq!(
        installed(&closed.path(), limits).1,
        ["rpm exceeded the time limit of 0 s and was killed"]
    );
    let limits = ManagerLimits { timeout: Duration::from_secs(60), bytes_max: 1 << 20 };
    let endless = Programs::new().with("rpm", "exec cat /dev/zero");
    let error = ["rpm exceeded the output limit of 1048576 bytes and was killed"];
    assert_eq!(installed(&endless.path(), limits).1, error);
}

#[test]
fn packages_listed_before_a_failure_are_kept() {
    let limits = ManagerLimits { timeout: Duration::from_secs(60), bytes_max: 1 << 20 };
    let begun = "echo alpha 1 all; echo beta 2 all; printf 'gam'";
    for (then, error) in [
        ("exit 1", "rpm failed: exit status: 1"),
        ("kill -9 $$", "rpm failed: signal: 9 (SIGKILL)"),
        ("exec cat /dev/zero", "rpm exceeded the output limit of 1048576 bytes and was killed"),
    ] {
        let programs = Programs::new().with("rpm", &format!("{begun}; {then}"));
        let (packages, errors) = installed(&programs.path(), limits);
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!((names, errors), (vec!["alpha", "beta"], vec![error.to_owned()]), "{then}");
    }
}

/// With a database of dpkg that has packages in every state.
#[test]
fn both_dpkg_programs_list_the_same_states() {
    if ["dpkg", "dpkg-query"].iter().any(|name| !Path::new("/usr/bin").join(name).exists()) {
        return crate::testing::skip("this host has no dpkg");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut status = String::new();
    for (name, state, more) in [
        ("configured", "install ok installed", ""),
        ("held", "hold ok installed", ""),
        ("unpacked", "install ok unpacked", ""),
        ("broken", "install reinstreq unpacked", ""),
        ("unconfigured", "install ok half-configured", ""),
        ("awaiting", "install ok triggers-awaited", "Triggers-Awaited: configured\n"),
        ("pending", "deinstall ok triggers-pending", "Triggers-Pending: /usr/share/man\n"),
        ("torn", "install ok half-installed", ""),
        ("tornagain", "install reinstreq half-installed", ""),
        ("removed", "deinstall ok config-files", ""),
        ("purged", "purge ok not-installed", ""),
    ] {
        status += &format!(
            "Package: {name}\nStatus: {state}\nMaintainer: a <a@b>\nArchitecture: all\n\
             Version: 1.0-2\n{more}Description: a package\n\n"
        );
    }
    std::fs::write(folder.path().join("status"), status).unwrap();
    for name in ["info", "updates", "triggers"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("info/format"), "1\n").unwrap();
    let mut wanted =
        ["configured", "held", "unpacked", "broken", "unconfigured", "awaiting", "pending"];
    wanted.sort_unstable();
    for program in ["dpkg-query", "dpkg"] {
        let real = format!("exec /usr/bin/{program} --admindir={} \"$@\"", folder.path().display());
        let programs = Programs::new().with(program, &real);
        // `dpkg` starts `dpkg-query`, which must be this host's.
        let path = OsString::from(format!("{}:/usr/bin", programs.0.path().display()));
        let manager = if program == "dpkg" { listing::DPKG } else { listing::DPKG_QUERY };
        let (packages, ended) = manager.list(&path, LIMITS);
        assert!(ended.is_ok(), "{ended:?}");
        let mut names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, wanted, "{program}");
    }
}

#[test]
fn package_manager_gets_a_minimal_environment() {
    let script = "echo $(/usr/bin/env | /usr/bin/sort | /usr/bin/cut -d= -f1) | \
                  /usr/bin/tr ' ' - | while read a; do echo $a 1 all; done";
    let programs = Programs::new().with("rpm", script);
    let (packages, errors) = installed(&programs.path(), LIMITS);
    assert!(errors.is_empty(), "{errors:?}");
    let name = packages[0].name.replace("-_-", "-").replace("-PWD", "").replace("-SHLVL", "");
    assert_eq!(name.trim_end_matches("-_"), "COLUMNS-LC_ALL-PATH");
}

#[test]
fn program_that_cannot_be_run_is_reported() {
    let programs = Programs::new();
    std::fs::write(programs.0.path().join("rpm"), "no program").unwrap();
    let (packages, errors) = installed(&programs.path(), LIMITS);
    assert!(packages.is_empty());
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("cannot run rpm: "), "{errors:?}");
}

#[test]
fn packages_are_those_that_dpkg_lists() {
    let path = OsString::from("/usr/sbin:/usr/bin:/sbin:/bin");
    let Ok(output) = Command::new("dpkg").arg("-l").env("COLUMNS", "1000").output() else {
        crate::testing::skip("this host has no dpkg");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let mut expected: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() > 3 && words[0].len() < 4)
        .filter(|words| words[0].chars().nth(1).is_some_and(|state| "iUFWt".contains(state)))
        .map(|words| format!("{} {} {}", words[1], words[2], words[3]))
        .collect();
    let result = run_with(&json!({"pkgmatch": {"matches": [""]}}), &path);
    let packages = result["elements"]["packages"].as_array().unwrap();
    let field = |package: &Value, name: &str| package[name].as_str().unwrap().to_owned();
    let mut found: Vec<String> = packages
        .iter()
        .filter(|package| package["type"] == "dpkg")
        .map(|package| {
            format!(
                "{} {} {}",
                field(package, "name"),
                field(package, "version"),
                field(package, "arch")
            )
        })
        .collect();
    expected.sort();
    found.sort();
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
}
