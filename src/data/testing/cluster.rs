//! A PostgreSQL server for tests, in a temporary folder, and databases on it.
//!
//! It listens on a socket in its folder and on a free port of the loopback interface. PostgreSQL
//! refuses to run as root: in tests run by root it runs as `postgres` or `nobody`.
//!
//! **Invariants.** Neither the server nor its folder outlives the process that started it. The
//! process stops the shared server before it exits. If the process is killed, a shell stops the
//! server: the shell reads from a pipe that only this process holds open for writing.
//!
//! The integration tests and the benchmarks include this file too, so it must not use the crate:
//! the including module provides `start_process`.

#![expect(clippy::disallowed_methods, reason = "the tests manage files and processes directly")]

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use postgres::{Client, Config, NoTls};

use super::start_process;

/// The superuser of the server.
pub(crate) const USER: &str = "tester";
/// The password of that role, required over TCP.
pub(crate) const PASSWORD: &str = "open sesame";
/// Time limit for the start of a server, with a large margin for a busy machine.
const START_SPAN: Duration = Duration::from_secs(120);
/// Polling interval while a server starts.
const POLL_SPAN: Duration = Duration::from_millis(20);
/// Maximum number of ports tried: another process may take a port that was just free.
const PORTS_MAX: u32 = 5;
/// Debian's folder of the server's programs, with a subfolder for each version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// Runs a server until the pipe names a signal to stop it with, or is closed.
const WATCH: &str = r#"
    folder=$1; shift
    "$@" &
    server=$!
    if read -r signal; then
        kill -s "$signal" $server
        wait $server
    else
        kill -s QUIT $server
        wait $server
        cd / && rm -rf "$folder"
    fi
"#;

/// The server shared by all tests of this process.
static SHARED: OnceLock<Cluster> = OnceLock::new();

/// Stops the shared server when the process exits: a static value is never dropped.
#[dtor::dtor(unsafe)]
fn end_shared() {
    if let Some(cluster) = SHARED.get() {
        cluster.end();
    }
}

/// A running server and its folder.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    watch: Mutex<Option<Watch>>,
}

/// The shell that watches a server, and the pipe that it reads from.
#[derive(Debug)]
struct Watch {
    shell: Child,
    pipe: ChildStdin,
}

/// A database on the shared server that is dropped with its value.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    name: String,
    cluster: &'static Cluster,
}

impl Cluster {
    /// Returns the server shared by all tests of this process.
    pub(crate) fn shared() -> &'static Cluster {
        SHARED.get_or_init(|| Cluster::start(&[]))
    }

    /// Starts a server with these settings, each `NAME=VALUE`.
    pub(crate) fn start(settings: &[&str]) -> Cluster {
        let folder = Cluster::private_folder();
        Cluster::start_in(folder, settings.iter().map(|setting| (*setting).to_owned()).collect())
    }

    /// Starts a server with TLS and this certificate.
    pub(crate) fn protected(certificate: &str, key: &str) -> Cluster {
        let folder = Cluster::private_folder();
        let own = |name: &str, from: &str| {
            let path = folder.join(name);
            fs::write(&path, fs::read(from).unwrap()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            chown_to_server(&path);
            path.display().to_string()
        };
        let (certificate, key) = (own("crt", certificate), own("key", key));
        let settings = ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}")];
        let key = format!("ssl_key_file={key}");
        Cluster::start_in(folder, settings.into_iter().chain([key]).collect())
    }

    fn start_in(folder: PathBuf, settings: Vec<String>) -> Cluster {
        let password = folder.join("password");
        fs::write(&password, PASSWORD).unwrap();
        chown_to_server(&password);
        let mut cluster = Cluster { folder, port: 0, settings, watch: Mutex::new(None) };
        let initdb = cluster
            .command("initdb")
            .args(["--no-sync", "-E", "UTF8", "--locale=C", "--auth-local=trust"])
            .args(["--auth-host=scram-sha-256", "-U", USER, "--pwfile"])
            .arg(&password)
            .arg(cluster.data())
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{initdb:?}");
        for _ in 0..PORTS_MAX {
            cluster.port = free_port();
            if cluster.start_again() {
                return cluster;
            }
        }
        panic!("no server on any of {PORTS_MAX} ports: {}", cluster.log());
    }

    fn private_folder() -> PathBuf {
        let folder = tempfile::Builder::new().prefix("migpg").tempdir_in("/tmp").unwrap().keep();
        chown_to_server(&folder);
        folder
    }

    /// Starts the server again in its folder; returns whether the port was still free.
    pub(crate) fn start_again(&mut self) -> bool {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", WATCH, "sh"])
            .arg(&self.folder)
            .args(self.server_line())
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(File::create(self.folder.join("watch")).unwrap())
            .stderr(File::create(self.folder.join("log")).unwrap())
            // Signals from the terminal, such as Ctrl-C, must reach only the tests.
            .process_group(0);
        let mut shell = start_process(&mut shell).unwrap();
        let pipe = shell.stdin.take().unwrap();
        self.watch = Mutex::new(Some(Watch { shell, pipe }));
        let begun = Instant::now();
        loop {
            let state = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return true;
            }
            if self.log().contains("could not create any TCP/IP sockets") {
                self.stop("TERM");
                return false;
            }
            assert!(begun.elapsed() < START_SPAN, "no server: {}", self.log());
            std::thread::sleep(POLL_SPAN);
        }
    }

    /// Stops the server by a signal: `INT` as an administrator would, `QUIT` like a crash.
    pub(crate) fn stop(&mut self, signal: &str) {
        let Some(Watch { mut shell, mut pipe }) = self.watch() else { return };
        // Writing fails if the shell has ended already.
        writeln!(pipe, "{signal}").ok();
        shell.wait().unwrap();
    }

    /// Stops the server, if it runs, and removes its folder.
    fn end(&self) {
        match self.watch() {
            // The shell removes the folder when the pipe is closed.
            Some(Watch { mut shell, pipe }) => {
                drop(pipe);
                shell.wait().unwrap();
            }
            None => fs::remove_dir_all(&self.folder).unwrap(),
        }
    }

    /// Takes the shell that watches the server, if it runs.
    fn watch(&self) -> Option<Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns the folder of its socket.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the TCP port, which is also part of the socket's name.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connects to a database as a role, through the socket.
    pub(crate) fn connect(&self, database: &str, role: &str) -> Client {
        let mut config = Config::new();
        config.host_path(&self.folder).port(self.port).dbname(database).user(role);
        config.connect(NoTls).unwrap_or_else(|error| panic!("{error:?}: {}", self.log()))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Returns the command line of the server, with durability switched off for speed.
    fn server_line(&self) -> Vec<String> {
        let mut line = privileges();
        line.extend([program("postgres").to_str().unwrap().to_owned(), "-D".to_owned()]);
        line.push(self.data().to_str().unwrap().to_owned());
        line.extend(["-h", "127.0.0.1", "-F", "-p"].map(str::to_owned));
        line.extend([self.port.to_string(), "-k".to_owned()]);
        line.push(self.folder.to_str().unwrap().to_owned());
        let usual = ["full_page_writes=off", "shared_buffers=16MB"];
        for setting in usual.into_iter().chain(self.settings.iter().map(String::as_str)) {
            line.extend(["-c".to_owned(), setting.to_owned()]);
        }
        line
    }

    /// Returns a command of one of the server's programs, run as the server's user.
    fn command(&self, name: &str) -> Command {
        let mut line = privileges();
        line.push(program(name).to_str().unwrap().to_owned());
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).current_dir(&self.folder);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

impl TestDatabase {
    /// Creates an empty database on the shared server.
    pub(crate) fn new() -> TestDatabase {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let cluster = Cluster::shared();
        let create = format!("create database {name} strategy file_copy template template0");
        cluster.connect("postgres", USER).batch_execute(&create).unwrap();
        TestDatabase { name, cluster }
    }

    /// Opens a connection separate from the tested program's.
    pub(crate) fn connect(&self) -> Client {
        self.cluster.connect(&self.name, USER)
    }

    /// Refuses new connections and ends the existing ones, or allows connections again.
    pub(crate) fn close(&self, is_closed: bool) {
        let TestDatabase { name, cluster } = self;
        let allow = format!("alter database {name} with allow_connections {}", !is_closed);
        let end = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and {is_closed}"
        );
        // Two statements: other sessions see the first only after it has been committed.
        let mut client = cluster.connect("postgres", USER);
        client.batch_execute(&allow).unwrap();
        client.batch_execute(&end).unwrap();
    }

    /// Returns the URL of the database.
    pub(crate) fn url(&self) -> String {
        let folder = self.cluster.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{folder}:{}/{}", self.cluster.port, self.name)
    }

    /// Returns the configuration section for the database.
    pub(crate) fn section(&self) -> String {
        format!(
            "[postgres]\nhost = {}\nport = {}\ndbname = {}\nuser = {USER}\n",
            self.cluster.folder.display(),
            self.cluster.port,
            self.name
        )
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("drop database {} with (force)", self.name);
        let done = self.cluster.connect("postgres", USER).batch_execute(&statement);
        if !std::thread::panicking() {
            done.unwrap();
        }
    }
}

/// Returns the path of one of the server's programs.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<PathBuf> = fs::read_dir(PROGRAMS)
        .map(|found| found.map(|entry| entry.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let folders = std::env::split_paths(&path).chain(versions.into_iter().rev());
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not in PATH and not below {PROGRAMS}: run .ci/packages test")
    })
}

/// Returns the beginning of a command line that gives up root's privileges.
fn privileges() -> Vec<String> {
    let Some((user, group)) = server_user() else { return vec!["env".to_owned()] };
    let user = [format!("--reuid={user}"), format!("--regid={group}")];
    let mut line = vec!["setpriv".to_owned(), "--clear-groups".to_owned()];
    line.extend(user);
    line
}

/// Returns the user and group of the server in tests run by root; `None` in other tests.
fn server_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let number = |at| line.split(':').nth(at)?.parse::<u32>().ok();
        Some((number(2)?, number(3)?))
    };
    Some(
        find("postgres").or_else(|| find("nobody")).expect("neither postgres nor nobody is a user"),
    )
}

/// Makes the server's user the owner of a file.
fn chown_to_server(path: &Path) {
    if let Some((user, group)) = server_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// Returns a port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
