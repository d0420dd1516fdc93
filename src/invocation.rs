//! How our programs are called here: a message that names a command names one that can be typed.
//!
//! A program has its plain name where a shell finds it by that name. Elsewhere it has the path that
//! the user typed, and the other programs have the same folder. A command for the installation that
//! this process works on repeats the options that name it, as in `-c FILE`.
//!
//! **Invariants.** Each main calls [`begin`] before it writes anything. In a process that never
//! called it, such as a unit test, programs have their plain names. No secret is ever an option.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A program of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Runner,
    /// The platform for one host.
    Standalone,
    /// The administration of MIG's data.
    Data,
}

/// The program that this process is.
static OWN: OnceLock<Program> = OnceLock::new();
/// How the runner is called.
static RUNNER: Called = Called::new();
/// How the platform is called.
static STANDALONE: Called = Called::new();
/// How the administration is called.
static DATA: Called = Called::new();

/// How a program is called.
#[derive(Debug)]
struct Called {
    /// Its plain name, or its path.
    path: OnceLock<PathBuf>,
    /// The options that name the installation, as they are typed.
    options: OnceLock<String>,
}

impl Called {
    const fn new() -> Called {
        Called { path: OnceLock::new(), options: OnceLock::new() }
    }
}

/// How a process was started.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// The program as the user typed it, which is `argv[0]`.
    pub(crate) typed: Option<OsString>,
    /// The executable's own file, all links followed.
    pub(crate) file: Option<PathBuf>,
    /// The folders in which a shell looks for programs, as in `PATH`.
    pub(crate) search: Option<OsString>,
}

/// Says which program this process is, and how it was started; the first call counts.
pub(crate) fn begin(own: Program, start: &Start) {
    OWN.get_or_init(|| own);
    for program in Program::ALL {
        program.called().path.get_or_init(|| start.path_of(program, own, identity));
    }
}

/// Returns the program that this process is; the runner if no main has said so.
pub(crate) fn own() -> Program {
    OWN.get().copied().unwrap_or(Program::Runner)
}

impl Program {
    const ALL: [Program; 3] = [Program::Runner, Program::Standalone, Program::Data];

    /// Returns the name under which the program is installed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Program::Runner => "mig-runner",
            Program::Standalone => "mig-standalone",
            Program::Data => "mig-data",
        }
    }

    const fn called(self) -> &'static Called {
        match self {
            Program::Runner => &RUNNER,
            Program::Standalone => &STANDALONE,
            Program::Data => &DATA,
        }
    }

    /// Sets the options that name the installation this process works on, such as `-c FILE`; the
    /// first call counts. No call is needed for the default installation.
    pub(crate) fn works_on(self, options: &[&str]) {
        self.called().options.get_or_init(|| line(options));
    }

    /// Returns the program's plain name or its path, not quoted.
    pub(crate) fn path(self) -> &'static Path {
        self.called().path.get().map_or(Path::new(self.name()), PathBuf::as_path)
    }

    /// Returns the command line that calls the program with these arguments.
    pub(crate) fn command(self, arguments: &[&str]) -> String {
        join([quote(&self.path().to_string_lossy()), line(arguments)])
    }

    /// Returns the command line that calls the program with these arguments, for the installation
    /// that this process works on.
    pub(crate) fn command_here(self, arguments: &[&str]) -> String {
        let options = self.called().options.get().cloned().unwrap_or_default();
        join([quote(&self.path().to_string_lossy()), options, line(arguments)])
    }
}

impl Start {
    /// Returns the name or the path by which a shell finds `program`, in the same place as this
    /// process, which is `own`. `identity` returns which program is at a path, if one is.
    fn path_of<I: PartialEq>(
        &self,
        program: Program,
        own: Program,
        identity: impl Fn(&Path) -> Option<I>,
    ) -> PathBuf {
        let name = program.name();
        // All programs are installed in one folder.
        let file = self.file.as_ref().map(|file| match program == own {
            true => file.clone(),
            false => file.with_file_name(name),
        });
        let file = file.and_then(|file| Some((identity(&file)?, file)));
        let is_it = |path: &Path| {
            file.as_ref().is_some_and(|(wanted, _)| identity(path).as_ref() == Some(wanted))
        };
        let folders = self.search.iter().flat_map(|search| std::env::split_paths(search));
        let mut places = folders.map(|folder| folder.join(name));
        if places.find(|path| identity(path).is_some()).is_some_and(|found| is_it(&found)) {
            return name.into();
        }
        let typed = self.typed.as_deref().filter(|typed| has_slash(typed)).map(Path::new);
        if program == own {
            return typed.unwrap_or(Path::new(name)).to_owned();
        }
        let beside = typed.map(|typed| typed.with_file_name(name));
        match (beside, &file) {
            (Some(beside), _) if is_it(&beside) => beside,
            // What was typed is a link into the folder of the programs.
            (_, Some((_, file))) => file.clone(),
            // It is not installed.
            (beside, None) => beside.unwrap_or_else(|| name.into()),
        }
    }
}

fn has_slash(typed: &OsStr) -> bool {
    typed.as_bytes().contains(&b'/')
}

/// Returns the device and the inode of a program, if there is one at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let meta = fs::metadata(path).ok()?;
    (meta.is_file() && meta.mode() & 0o111 != 0).then(|| (meta.dev(), meta.ino()))
}

/// Returns words as a shell reads them.
fn line(words: &[&str]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn join<const N: usize>(parts: [String; N]) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// Returns a text as one word for a shell.
fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how a shell in `/home` finds the runner, the platform and the administration, after
    /// `typed` has started the runner. `PATH` is /bin and the home's folder `links`. `files` has
    /// every program at every path, as in `/opt/mig-runner=r`.
    fn found(typed: &str, file: &str, files: &str) -> [String; 3] {
        let identity = |path: &Path| {
            let path = Path::new("/home").join(path.strip_prefix(".").unwrap_or(path));
            let entries = files.split(' ').filter_map(|entry| entry.split_once('='));
            let mut entries = entries.filter(|entry| path == Path::new(entry.0));
            entries.next().map(|entry| entry.1.to_owned())
        };
        let start = Start {
            typed: Some(typed.into()),
            file: Some(file.into()),
            search: Some("/bin:/home/links".into()),
        };
        Program::ALL
            .map(|program| start.path_of(program, Program::Runner, identity))
            .map(|path| path.to_str().unwrap().to_owned())
    }

    const PLAIN: [&str; 3] = ["mig-runner", "mig-standalone", "mig-data"];

    #[test]
    fn programs_in_the_path_have_their_plain_names() {
        let files = "/bin/mig-runner=r /bin/mig-standalone=s /bin/mig-data=d";
        assert_eq!(found("mig-runner", "/bin/mig-runner", files), PLAIN);
        assert_eq!(found("/bin/mig-runner", "/bin/mig-runner", files), PLAIN);
        assert_eq!(found("../bin/mig-runner", "/bin/mig-runner", files), PLAIN);
        // Those that are not installed, too.
        assert_eq!(found("mig-runner", "/bin/mig-runner", "/bin/mig-runner=r"), PLAIN);
    }

    #[test]
    fn programs_elsewhere_have_the_folder_that_was_typed() {
        let files = "/home/t/mig-runner=r /home/t/mig-standalone=s /home/t/mig-data=d \
                     /bin/mig-runner=other /bin/mig-standalone=other";
        for folder in ["t", "./t", "/home/t"] {
            let typed = format!("{folder}/mig-runner");
            let expected = PLAIN.map(|name| format!("{folder}/{name}"));
            assert_eq!(found(&typed, "/home/t/mig-runner", files), expected);
            // Those that are not installed, too.
            let alone = "/home/t/mig-runner=r";
            assert_eq!(found(&typed, "/home/t/mig-runner", alone), expected);
        }
        // In the working directory.
        let here = "/home/mig-runner=r /home/mig-standalone=s /home/mig-data=d";
        let expected = PLAIN.map(|name| format!("./{name}"));
        assert_eq!(found("./mig-runner", "/home/mig-runner", here), expected);
    }

    #[test]
    fn programs_that_a_link_hides_have_the_folder_where_they_are() {
        let files = "/opt/mig-runner=r /opt/mig-standalone=s /opt/mig-data=d \
                     /home/mr=r /home/links/mig-runner=r";
        let expected = ["mig-runner", "/opt/mig-standalone", "/opt/mig-data"];
        assert_eq!(found("mig-runner", "/opt/mig-runner", files), expected);
        let files = "/opt/mig-runner=r /opt/mig-standalone=s /opt/mig-data=d /home/mr=r";
        let expected = ["./mr", "/opt/mig-standalone", "/opt/mig-data"];
        assert_eq!(found("./mr", "/opt/mig-runner", files), expected);
    }

    #[test]
    fn a_process_that_knows_nothing_of_its_start_uses_plain_names() {
        let path = |program| Start::default().path_of(program, Program::Data, identity);
        assert_eq!(Program::ALL.map(path), PLAIN.map(PathBuf::from));
        assert_eq!(Program::Runner.command(&["init", "a b"]), "mig-runner init 'a b'");
        assert_eq!(Program::Data.command_here(&[]), "mig-data");
    }

    #[test]
    fn a_program_can_be_executed() {
        assert!(identity(Path::new("/bin/sh")).is_some());
        for none in ["/bin", "/etc/passwd", "/nosuch"] {
            assert_eq!(identity(Path::new(none)), None, "{none}");
        }
    }

    #[test]
    fn a_text_is_one_word_for_a_shell() {
        for text in ["/usr/bin/x", "/a b/$c", "/it's", "/\"\\;`", "/é", "", "~"] {
            let script = format!("printf %s {}", quote(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
        assert_eq!(quote("/usr/bin/x"), "/usr/bin/x");
    }
}
