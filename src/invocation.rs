//! Command lines in messages: a message that suggests a command shows one that the user can type.
//!
//! If a shell finds a program by its plain name, the command uses that name. Otherwise it uses the
//! path that the user typed, and the same folder for the other programs. A command for the current
//! installation repeats the options that select it, as in `-c FILE`.
//!
//! **Invariants.** Each main calls [`begin`] before it writes any output. In a process that does
//! not call it, such as a unit test, programs have their plain names. An option never contains a
//! secret.

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
    /// The administration tool for MIG's data.
    Data,
}

/// The program of this process.
static OWN: OnceLock<Program> = OnceLock::new();
static RUNNER: Invocation = Invocation::new();
static STANDALONE: Invocation = Invocation::new();
static DATA: Invocation = Invocation::new();

/// The way in which a user can start a program.
#[derive(Debug)]
struct Invocation {
    /// The plain name or the path.
    path: OnceLock<PathBuf>,
    /// The options that select the installation, quoted for a shell.
    options: OnceLock<String>,
}

impl Invocation {
    const fn new() -> Invocation {
        Invocation { path: OnceLock::new(), options: OnceLock::new() }
    }
}

/// How a process was started.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// The program as the user typed it: `argv[0]`.
    pub(crate) typed: Option<OsString>,
    /// The path of the executable, with all links followed.
    pub(crate) file: Option<PathBuf>,
    /// The folders in which a shell searches for programs, as in `PATH`.
    pub(crate) search: Option<OsString>,
}

/// Records the program of this process and how it was started. Only the first call has an effect.
pub(crate) fn begin(own: Program, start: &Start) {
    OWN.get_or_init(|| own);
    for program in Program::ALL {
        program.invocation().path.get_or_init(|| start.path_of(program, own, identity));
    }
}

/// Returns the program of this process; the runner if [`begin`] was not called.
pub(crate) fn own() -> Program {
    OWN.get().copied().unwrap_or(Program::Runner)
}

impl Program {
    const ALL: [Program; 3] = [Program::Runner, Program::Standalone, Program::Data];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Program::Runner => "mig-runner",
            Program::Standalone => "mig-standalone",
            Program::Data => "mig-data",
        }
    }

    const fn invocation(self) -> &'static Invocation {
        match self {
            Program::Runner => &RUNNER,
            Program::Standalone => &STANDALONE,
            Program::Data => &DATA,
        }
    }

    /// Sets the options that select the current installation, such as `-c FILE`. Only the first
    /// call has an effect. The default installation needs no call.
    pub(crate) fn set_options(self, options: &[&str]) {
        self.invocation().options.get_or_init(|| line(options));
    }

    /// Returns the plain name or the path of the program, not quoted.
    pub(crate) fn path(self) -> &'static Path {
        self.invocation().path.get().map_or(Path::new(self.name()), PathBuf::as_path)
    }

    /// Returns the command line that runs the program with these arguments.
    pub(crate) fn command(self, arguments: &[&str]) -> String {
        join([quote(&self.path().to_string_lossy()), line(arguments)])
    }

    /// Returns the command line that runs the program with these arguments for the current
    /// installation.
    pub(crate) fn command_here(self, arguments: &[&str]) -> String {
        let options = self.invocation().options.get().cloned().unwrap_or_default();
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
            // The user typed a link to the program, which is in another folder.
            (_, Some((_, file))) => file.clone(),
            // The other program is not installed.
            (beside, None) => beside.unwrap_or_else(|| name.into()),
        }
    }
}

fn has_slash(typed: &OsStr) -> bool {
    typed.as_bytes().contains(&b'/')
}

/// Returns the device and the inode of the program at a path; `None` if it is not an executable
/// file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let meta = fs::metadata(path).ok()?;
    (meta.is_file() && meta.mode() & 0o111 != 0).then(|| (meta.dev(), meta.ino()))
}

/// Quotes words for a shell.
fn line(words: &[&str]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn join<const N: usize>(parts: [String; N]) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// Quotes a text as one word for a shell.
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

    /// Returns the paths of the three programs for a shell in `/home` after `typed` has started the
    /// runner. `PATH` is `/bin:/home/links`. `files` lists the program at each path, as in
    /// `/opt/mig-runner=r`.
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
    fn programs_in_path_have_their_plain_names() {
        let files = "/bin/mig-runner=r /bin/mig-standalone=s /bin/mig-data=d";
        assert_eq!(found("mig-runner", "/bin/mig-runner", files), PLAIN);
        assert_eq!(found("/bin/mig-runner", "/bin/mig-runner", files), PLAIN);
        assert_eq!(found("../bin/mig-runner", "/bin/mig-runner", files), PLAIN);
        // Programs that are not installed as well.
        assert_eq!(found("mig-runner", "/bin/mig-runner", "/bin/mig-runner=r"), PLAIN);
    }

    #[test]
    fn programs_elsewhere_have_the_typed_folder() {
        let files = "/home/t/mig-runner=r /home/t/mig-standalone=s /home/t/mig-data=d \
                     /bin/mig-runner=other /bin/mig-standalone=other";
        for folder in ["t", "./t", "/home/t"] {
            let typed = format!("{folder}/mig-runner");
            let expected = PLAIN.map(|name| format!("{folder}/{name}"));
            assert_eq!(found(&typed, "/home/t/mig-runner", files), expected);
            // Programs that are not installed as well.
            let alone = "/home/t/mig-runner=r";
            assert_eq!(found(&typed, "/home/t/mig-runner", alone), expected);
        }
        // In the working directory.
        let here = "/home/mig-runner=r /home/mig-standalone=s /home/mig-data=d";
        let expected = PLAIN.map(|name| format!("./{name}"));
        assert_eq!(found("./mig-runner", "/home/mig-runner", here), expected);
    }

    #[test]
    fn programs_behind_a_link_have_their_real_folder() {
        let files = "/opt/mig-runner=r /opt/mig-standalone=s /opt/mig-data=d \
                     /home/mr=r /home/links/mig-runner=r";
        let expected = ["mig-runner", "/opt/mig-standalone", "/opt/mig-data"];
        assert_eq!(found("mig-runner", "/opt/mig-runner", files), expected);
        let files = "/opt/mig-runner=r /opt/mig-standalone=s /opt/mig-data=d /home/mr=r";
        let expected = ["./mr", "/opt/mig-standalone", "/opt/mig-data"];
        assert_eq!(found("./mr", "/opt/mig-runner", files), expected);
    }

    #[test]
    fn plain_names_are_used_if_the_start_is_unknown() {
        let path = |program| Start::default().path_of(program, Program::Data, identity);
        assert_eq!(Program::ALL.map(path), PLAIN.map(PathBuf::from));
        assert_eq!(Program::Runner.command(&["init", "a b"]), "mig-runner init 'a b'");
        assert_eq!(Program::Data.command_here(&[]), "mig-data");
    }

    #[test]
    fn only_executable_files_are_programs() {
        assert!(identity(Path::new("/bin/sh")).is_some());
        for none in ["/bin", "/etc/passwd", "/nosuch"] {
            assert_eq!(identity(Path::new(none)), None, "{none}");
        }
    }

    #[test]
    fn quoted_text_is_one_word_for_a_shell() {
        for text in ["/usr/bin/x", "/a b/$c", "/it's", "/\"\\;`", "/é", "", "~"] {
            let script = format!("printf %s {}", quote(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
        assert_eq!(quote("/usr/bin/x"), "/usr/bin/x");
    }
}
