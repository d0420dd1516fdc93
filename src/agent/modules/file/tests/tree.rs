//! The tree with which the recordings were made, created in a temporary folder.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev, mknodat, utimensat};
use tempfile::TempDir;

/// A tree that is removed when this value is dropped.
#[derive(Debug)]
pub(super) struct Tree {
    _folder: TempDir,
    pub(super) root: PathBuf,
}

impl Tree {
    pub(super) fn new() -> Tree {
        let folder = tempfile::tempdir().unwrap();
        // Readable for other users, as whom some tests run.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let root = fs::canonicalize(folder.path()).unwrap().join("t");
        // With permissions that do not depend on the umask.
        let create = |path: &Path| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        };
        create(&root);
        for name in [
            "plain",
            "sizes",
            "modes",
            "mtimes",
            "links",
            "dirlinks",
            "gz",
            "gzbad",
            "special",
            "odd",
            "long",
            "locked",
            "many",
            "many/sub",
            "deep",
            "deep/d1",
            "deep/d1/d2",
            "deep/d1/d2/d3",
            "deep/d1/d2/d3/d4",
            "deep/d1/d2/d3/d4/d5",
            "deep-er",
        ] {
            create(&root.join(name));
        }
        plain(&root);
        sized(&root);
        packed(&root);
        nested(&root);
        odd(&root);
        links(&root);
        special(&root);
        modes(&root);
        times(&root);
        Tree { _folder: folder, root }
    }
}

fn write(root: &Path, name: impl AsRef<OsStr>, bytes: &[u8]) {
    let path = root.join(name.as_ref());
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

fn plain(root: &Path) {
    let all: Vec<u8> = (0..=255).collect();
    for (name, bytes) in [
        ("a.txt", &b"alpha\nbeta\ngamma\n"[..]),
        ("b.txt", b"alpha\ndelta\n"),
        ("empty.log", b""),
        ("one", b"x"),
        ("abc", b"abc"),
        ("crlf.txt", b"alpha\r\nbeta\r\n"),
        ("noeol.txt", b"first\nlast line"),
        ("blank.txt", b"\n\n"),
        ("keys.txt", b"# comment\nkey-1\nkey-2\n"),
        ("keys-rogue.txt", b"# comment\nkey-1\nrogue\n"),
        ("latin1.txt", b"caf\xe9\n"),
        ("utf8.txt", "café\n".as_bytes()),
        ("binary.bin", &all),
        ("UPPER.TXT", b"ALPHA\n"),
    ] {
        write(&root.join("plain"), name, bytes);
    }
    write(root, "locked/inside", b"secret\n");
    write(root, "locked.txt", b"locked\n");
}

fn sized(root: &Path) {
    let sizes = root.join("sizes");
    for (name, size) in
        [("s0", 0), ("s1", 1), ("s1023", 1023), ("s1024", 1024), ("s1025", 1025), ("s10k", 10240)]
    {
        write(&sizes, name, &vec![b'z'; size]);
    }
    for (name, size) in [("s1m", 1 << 20), ("s10m", 10 << 20), ("s10m1", (10 << 20) + 1)] {
        write(&sizes, name, b"");
        fs::File::options().write(true).open(sizes.join(name)).unwrap().set_len(size).unwrap();
    }
    for length in [65534, 65535, 65536, 70000] {
        let line = "x".repeat(length);
        write(&root.join("long"), format!("l{length}"), format!("{line}\nNEEDLE\n").as_bytes());
    }
    let line = "x".repeat(70000);
    write(root, "long/first", format!("NEEDLE\n{line}\nAFTER\n").as_bytes());
}

fn packed(root: &Path) {
    let text = b"alpha\nbeta\ngamma\n";
    // Fixed bytes, because packers differ.
    let a = unhex("1f8b08000000000002ff4bcc29c848e44a4a2d49e44a4fcccd4de4020083bb9ead11000000");
    let two = unhex(concat!(
        "1f8b08000000000002ff4bcc29c848e40200ec6e609f06000000",
        "1f8b08000000000002ffcbcf4d4d4fe40200bcc691f406000000"
    ));
    let cut = unhex("1f8b08000000000002ff4bcc29c848e44a4a2d49e44a4fcccd4de44a1c1518151815");
    for (name, bytes) in [
        ("gz/a.gz", a.as_slice()),
        ("gz/two.gz", &two),
        ("gz/plain.txt", text),
        ("gz/short", b"x"),
        ("gz/named.dat", &a),
        ("gzbad/bad.gz", b"\x1f\x8bgarbage that is no gzip\n"),
        ("gzbad/trunc.gz", &cut),
        ("gzbad/empty", b""),
    ] {
        write(root, name, bytes);
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn nested(root: &Path) {
    let mut folder = root.join("deep");
    write(&folder, "f0", b"level 0\n");
    for level in 1..6 {
        folder.push(format!("d{level}"));
        write(&folder, format!("f{level}"), format!("level {level}\n").as_bytes());
    }
    write(root, "deep-er/x.txt", b"trap\n");
    for number in 0..20 {
        write(&root.join("many"), format!("f{number:02}"), b"many\n");
    }
    for number in 0..5 {
        write(&root.join("many/sub"), format!("g{number}"), b"many\n");
    }
}

fn odd(root: &Path) {
    let long = "n".repeat(255);
    for name in [
        "with space",
        "quote\"'",
        "new\nline",
        "tab\there",
        "-dash",
        "ünïcode-日本.txt",
        "<angle>&",
        ".hidden",
        "back\\slash",
        "*star*[1]",
        &long,
        "!bang",
    ] {
        write(&root.join("odd"), name, b"odd\n");
    }
    write(&root.join("odd"), OsString::from_vec(b"bad\xff\xfeutf8".to_vec()), b"odd\n");
}

fn links(root: &Path) {
    for (name, target) in [
        ("links/to-file", "../plain/a.txt"),
        ("links/to-dir", "../plain"),
        ("links/chain", "to-file"),
        ("links/dangling", "nowhere"),
        ("links/loop1", "loop2"),
        ("links/loop2", "loop1"),
        ("links/to-fifo", "../special/fifo"),
        ("links/up", ".."),
        ("links/via-dir", "to-dir/b.txt"),
        ("dirlinks/sticky", "../many/sub"),
        ("dirlinks/setgid", "../deep-er"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    symlink(root.join("plain/b.txt"), root.join("links/abs-file")).unwrap();
    write(root, "links/real.txt", b"real\n");
}

/// Creates a pipe, a socket and, as root, a device.
fn special(root: &Path) {
    write(root, "special/reg", b"regular\n");
    let folder = root.join("special");
    mknodat(CWD, folder.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    fs::set_permissions(folder.join("fifo"), Permissions::from_mode(0o644)).unwrap();
    drop(UnixListener::bind(folder.join("sock")).unwrap());
    fs::set_permissions(folder.join("sock"), Permissions::from_mode(0o755)).unwrap();
    let device = folder.join("null");
    let mode = Mode::from_raw_mode(0o666);
    let created = mknodat(CWD, &device, FileType::CharacterDevice, mode, makedev(1, 3));
    if created.is_ok() {
        fs::set_permissions(&device, Permissions::from_mode(0o666)).unwrap();
    }
}

fn modes(root: &Path) {
    let folder = root.join("modes");
    for mode in [0o644, 0o600, 0o444, 0o000, 0o4755, 0o2755, 0o6755, 0o1644, 0o7777, 0o4644] {
        let name = format!("m{mode:04o}");
        write(&folder, &name, b"mode\n");
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
    }
    for (name, mode) in [
        ("locked.txt", 0o600),
        ("locked/inside", 0o600),
        ("locked", 0o700),
        ("many/sub", 0o1777),
        ("deep-er", 0o2775),
    ] {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
}

fn times(root: &Path) {
    let folder = root.join("mtimes");
    for (name, time) in [
        ("epoch", "1970-01-01T00:00:00Z"),
        ("y1965", "1965-06-07T08:09:10Z"),
        ("y2001", "2001-09-09T01:46:40Z"),
        ("y2020", "2020-01-02T03:04:05Z"),
        ("y2020nano", "2020-01-02T03:04:05.123456789Z"),
        ("y2020milli", "2020-01-02T03:04:05.5Z"),
        ("y2100", "2100-01-01T00:00:00Z"),
    ] {
        write(&folder, name, b"time\n");
        touch(&folder.join(name), time);
    }
    touch_all(root);
}

/// Sets the time of the recordings on all files that have no time of their own, folders last.
fn touch_all(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            touch_all(&entry.path());
        } else if !folder.as_os_str().as_bytes().ends_with(b"/mtimes") {
            touch(&entry.path(), "2020-01-02T03:04:05Z");
        }
    }
    touch(folder, "2020-01-02T03:04:05Z");
}

fn touch(path: &Path, time: &str) {
    let time: Timestamp = time.parse().unwrap();
    let time = Timespec { tv_sec: time.as_second(), tv_nsec: time.subsec_nanosecond().into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
