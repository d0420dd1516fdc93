//! Signers of the unit tests' own executable, with the real GnuPG.

#![expect(clippy::disallowed_methods, reason = "tests read /proc")]

use std::fs::{self, read_to_string};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use zeroize::Zeroizing;

use super::protocol::{OpenAnswer, Opened, SignAnswer, SignRequest};
use super::*;
use crate::pgp::calls::Passphrase;
use crate::pgp::testing::hang::HangingGpg;
use crate::pgp::testing::memory::copies;
use crate::pgp::testing::{Home, secret};
use crate::pgp::{Fingerprint, worker};
use crate::spawn::deadline::Deadline;
use crate::spawn::session::testing::session;

/// More time than any operation in these tests takes.
const AMPLE: Duration = Duration::from_secs(60);
/// The passphrase of one test, with each byte increased by one.
const HIDDEN: &[u8] = b"uijt.uftu.bmpof.ibt.ju//";
/// The same in base64.
const HIDDEN_BASE64: &[u8] = b"eHiqdz21[YO1MXGtc36mMXiidz2qeD5v";

/// Serves the tests of this process as a signer; see [`ARGUMENTS`].
#[test]
fn serve_as_a_signer() {
    // Among the other tests, stdin is not the socket of a parent.
    if let Err(error) = serve() {
        println!("{error}");
    }
}

fn call(home: &Path, key: &Fingerprint, passphrase: Option<Zeroizing<Vec<u8>>>) -> OpenKey {
    let passphrase = passphrase.map(Passphrase);
    OpenKey { home: home.to_owned(), key: key.clone(), passphrase }
}

/// Opens a key with this passphrase in a new signer.
fn unlocked(home: &Home, passphrase: Zeroizing<Vec<u8>>) -> Unlocked {
    let key = home.key("rsa1024", Some(str::from_utf8(&passphrase).unwrap()));
    let call = call(home.path(), &key, Some(passphrase));
    let (signer, Opened { outcome, .. }) = open(&call, Deadline::after(AMPLE), AMPLE).unwrap();
    match outcome {
        Outcome::Unlocked(part) => Unlocked::new(signer, part).unwrap(),
        Outcome::GnuPgOnly(reason) => panic!("{reason}"),
    }
}

fn sign(key: &Unlocked) {
    key.sign(b"text", 0, Deadline::after(AMPLE), AMPLE).unwrap();
}

#[test]
fn signer_is_protected() {
    let home = Home::new();
    let key = unlocked(&home, secret("open sesame"));
    sign(&key);
    let pid = key.group().as_raw_nonzero().to_string();
    let proc = Path::new("/proc").join(&pid);
    // The files of a process that can be traced belong to its user.
    for file in ["mem", "environ", "maps"] {
        assert_eq!(fs::metadata(proc.join(file)).unwrap().uid(), 0, "{file}");
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            let denied = fs::File::open(proc.join(file)).unwrap_err();
            assert_eq!(denied.kind(), std::io::ErrorKind::PermissionDenied, "{file}");
        }
    }
    let limits = read_to_string(proc.join("limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let words = line.strip_prefix(name).unwrap().split_whitespace();
        words.take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    let [soft, hard] = &limit("Max locked memory")[..] else { panic!("{limits}") };
    assert_eq!(soft, hard);
    assert_eq!(session(pid.parse().unwrap()), (pid.parse().unwrap(), 0), "it has no terminal");
    let status = read_to_string(proc.join("status")).unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    // An ordinary user may not be allowed to lock the memory of this large program.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        assert_ne!(locked.trim(), "0 kB");
    }
}

#[test]
fn secrets_are_neither_in_arguments_nor_in_other_memory() {
    let home = Home::new();
    // This process has it only until the signer has unlocked the key.
    let passphrase = HIDDEN.iter().map(|byte| byte.wrapping_sub(1)).collect();
    let key = unlocked(&home, Zeroizing::new(passphrase));
    sign(&key);
    let pid = key.group().as_raw_nonzero().to_string();
    let proc = Path::new("/proc").join(&pid);
    let line = read_to_string(proc.join("cmdline")).unwrap();
    let arguments: Vec<&str> = line.trim_end_matches('\0').split('\0').skip(1).collect();
    assert_eq!(arguments, ARGUMENTS);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        let environment = fs::read(proc.join("environ")).unwrap();
        assert!(environment.starts_with(b"MALLOC_ARENA_MAX=") && !environment[..].contains(&b'\n'));
        assert_eq!(copies(&pid, HIDDEN), 0, "the signer has unlocked the key");
        assert_eq!(copies(&pid, HIDDEN_BASE64), 0);
    }
    assert_eq!((copies("self", HIDDEN), copies("self", HIDDEN_BASE64)), (0, 0));
}

/// A signer that this test has started like a parent, without what ends it.
struct Bare {
    child: Child,
    socket: UnixStream,
}

impl Bare {
    fn start() -> Bare {
        let (socket, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new("/proc/self/exe");
        command.args(ARGUMENTS).process_group(0).stdin(OwnedFd::from(theirs));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Bare { child, socket }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    fn open(&mut self, home: &Home, key: &Fingerprint) {
        self.send(&worker::request_bytes(&call(home.path(), key, None)).unwrap());
    }

    /// Closes the socket, as the kernel does when the parent is killed; checks that the signer has
    /// killed itself.
    fn assert_ends(self) {
        let Bare { mut child, socket } = self;
        drop(socket);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}

#[test]
fn signer_ends_with_its_parent() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    Bare::start().assert_ends();
    let mut signer = Bare::start();
    signer.open(&home, &key);
    let mut answer = Vec::new();
    while answer.last() != Some(&b'\n') {
        let mut byte = [0];
        signer.socket.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    let opened = worker::answer::<OpenAnswer>(&answer).unwrap().unwrap();
    assert!(matches!(opened.outcome, Outcome::Unlocked(_)), "{opened:?}");
    signer.send(&SignRequest { id: 7, digest: [1; 32] }.to_bytes());
    let answer = SignAnswer::read(&mut signer.socket).unwrap();
    assert_eq!((answer.id, answer.number.len()), (7, 128));
    signer.assert_ends();

    // While it opens the key, its `gpg` ends too.
    let hanging = HangingGpg::new(home.path());
    let mut signer = Bare::start();
    signer.open(&home, &key);
    hanging.wait_started();
    signer.assert_ends();
    hanging.assert_ended();
}

#[test]
fn invalid_request_ends_the_signer() {
    for request in [&b"\0\0\0\x02{}"[..], b"\xff\xff\xff\xff", b"\0\0\0\x01x"] {
        let mut signer = Bare::start();
        signer.send(request);
        assert_eq!(signer.child.wait().unwrap().signal(), Some(9), "{request:?}");
    }
}

#[test]
fn threads_of_the_signer_reserve_no_memory() {
    let home = Home::new();
    let key = unlocked(&home, secret("open sesame"));
    let status = Path::new("/proc").join(key.group().as_raw_nonzero().to_string()).join("status");
    let size = || -> u64 {
        let text = read_to_string(&status).unwrap();
        let size = text.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        size.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    let before = size();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| sign(&key)));
        }
    });
    assert!(size() < before + (32 << 10), "{before} kB, then {} kB", size());
}

#[test]
fn signer_keeps_no_descriptor_of_gnupg() {
    let home = Home::new();
    let key = unlocked(&home, secret("open sesame"));
    let open = |process: &str| -> Vec<PathBuf> {
        let folder = Path::new("/proc").join(process).join("fd");
        let links = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        links.filter_map(|link| fs::read_link(link).ok()).collect()
    };
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let pid = key.group().as_raw_nonzero().to_string();
        // Whoever runs the tests may have left them some.
        let (before, inherited) = (open(&pid), open("self"));
        let is_pipe = |file: &PathBuf| file.to_string_lossy().starts_with("pipe:");
        let pipes: Vec<_> = before.iter().filter(|file| is_pipe(file)).collect();
        assert!(pipes.iter().all(|file| inherited.contains(file)), "{before:?} {inherited:?}");
        for _ in 0..20 {
            sign(&key);
        }
        assert_eq!(open(&pid), before);
    }
}

#[test]
fn answers_are_read_as_they_were_written() {
    for number in [vec![], vec![0, 1], vec![7; 2048]] {
        let answer = SignAnswer { id: u64::MAX - 1, number };
        let bytes = answer.to_bytes();
        assert_eq!(SignAnswer::read(&mut &bytes[..]).unwrap(), answer);
        for end in 0..bytes.len() {
            assert!(SignAnswer::read(&mut &bytes[..end]).is_err());
        }
    }
    let long = [&[0; 8][..], &[0xff, 0xff], &[0; 0xffff]].concat();
    assert!(SignAnswer::read(&mut &long[..]).is_err());
    let request = SignRequest { id: 3, digest: [9; 32] };
    let read = SignRequest::read(&mut &request.to_bytes()[..]).unwrap();
    assert_eq!((read.id, read.digest), (3, [9; 32]));
}
