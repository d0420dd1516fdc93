//! Hostile bytes instead of signatures, and a `gpg` that hangs: the API keeps responding, and no
//! `gpg` is left.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::measure::{Attacked, EndOnDrop};
use super::token;
use crate::bomb::bomb;
use crate::rig::{Rig, wait_until};

/// The number of clients that attack at the same time.
const ATTACKERS: usize = 4;
/// Maximum duration of the attack.
const ATTACK_SPAN_MAX: Duration = Duration::from_secs(60);

/// Sends a request; returns status and response.
fn send(address: &str, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "{head}\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// Searches with a token; a search without results has status 404.
fn search(address: &str, token: &str) -> (u16, String) {
    let head = format!(
        "GET /api/v1/search?type=action&actionname=nosuch HTTP/1.1\r\nX-PGPAUTHORIZATION: {token}"
    );
    send(address, &head, "")
}

/// Returns a token whose signature is these bytes.
fn forged(content: &[u8]) -> String {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("1;{now};7;{}=AAAA", STANDARD.encode(content))
}

/// Returns the command lines of the `gpg` that work in a folder.
fn gpg(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        // Fails for a process that has ended.
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains("gpg") && line.contains(folder)).collect()
}

/// Sends decompression bombs as tokens while `during` runs.
pub(super) fn send_bombs(rig: &Rig, during: impl FnOnce()) {
    let (address, valid, bomb) = (rig.address.as_str(), token(rig), bomb());
    // The first request imports the key.
    assert_eq!(search(address, &valid).0, 404);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let attack = || {
            let (mut count, begun) = (0, Instant::now());
            while !is_over.load(Ordering::Relaxed) && begun.elapsed() < ATTACK_SPAN_MAX {
                let (status, answer) = search(address, &forged(&bomb));
                assert_eq!(status, 401, "{answer}");
                assert!(answer.contains("openpgp: invalid data: "), "{answer}");
                count += 1;
            }
            count
        };
        let attackers: Vec<_> = (0..ATTACKERS).map(|_| scope.spawn(attack)).collect();
        let end = EndOnDrop(&is_over);
        during();
        drop(end);
        for attacker in attackers {
            assert!(attacker.join().unwrap() > 0);
        }
    });
    wait_until("the end of every gpg", || gpg(&rig.path("p")).is_empty());
}

#[test]
fn decompression_bombs_as_tokens_do_not_occupy_the_api() {
    let rig = Rig::new();
    let attacked = Attacked::new(&rig);
    send_bombs(&rig, || attacked.assert_serves("decompression bombs"));
}

#[test]
fn bytes_that_are_no_small_signature_are_refused_in_tokens_and_actions() {
    let rig = Rig::new();
    let (address, valid) = (rig.address.as_str(), token(&rig));
    let long = vec![4; 5000];
    let large = [&[0xc2, 255, 0, 0, 0x13, 0x88][..], &long].concat();
    let bomb = bomb();
    // The same with its length stated.
    let length = u32::try_from(bomb.len() - 1).unwrap().to_be_bytes();
    let stated = [&[0xc8, 255][..], &length, &bomb[1..]].concat();
    for content in [bomb, stated, large, [0xc2, 1, 4].repeat(17)] {
        let (status, answer) = search(address, &forged(&content));
        assert!(status == 401 && answer.contains("openpgp: invalid data: "), "{answer}");
        let signature = format!("{}=AAAA", STANDARD.encode(&content));
        let now = Timestamp::now();
        let action = format!(
            r#"{{"name":"x","target":"status='online'","validfrom":"{now}","expireafter":"{}","operations":[],"pgpsignatures":["{signature}"],"syntaxversion":2}}"#,
            now + jiff::SignedDuration::from_hours(1)
        );
        let form: String = action.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let head = format!(
            "POST /api/v1/action/create/ HTTP/1.1\r\nX-PGPAUTHORIZATION: {valid}\r\n\
             Content-Type: application/x-www-form-urlencoded"
        );
        let (status, answer) = send(address, &head, &format!("action={form}"));
        assert!(status == 500 && answer.contains("openpgp: invalid data: "), "{answer}");
    }
    let (status, answer) = search(address, &"x".repeat(33_000));
    assert!(status == 401 && answer.contains("token is longer than 32768 bytes"), "{answer}");
    assert_eq!(search(address, &valid).0, 404);
}

/// Returns the keyring of the investigator, after a valid request.
fn keyring(rig: &Rig) -> PathBuf {
    assert_eq!(search(&rig.address, &token(rig)).0, 404);
    let homes = fs::read_dir(rig.path("p/data/gnupg")).unwrap();
    let mut rings = homes.map(|home| home.unwrap().path().join("pubring.kbx"));
    rings.find(|ring| ring.exists()).unwrap()
}

/// Makes every `gpg` hang that reads a keyring: replaces it by a pipe that nothing writes to.
fn hang(ring: &Path) {
    fs::rename(ring, ring.with_extension("away")).unwrap();
    assert!(Command::new("mkfifo").arg(ring).status().unwrap().success());
}

#[test]
fn hanging_gpg_is_killed_and_the_requests_are_not_judged() {
    let rig = Rig::new();
    let (ring, folder) = (keyring(&rig), rig.path("p"));
    hang(&ring);
    let (address, token) = (rig.address.as_str(), token(&rig));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6).map(|_| scope.spawn(|| search(address, &token))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for (status, answer) in &answers {
        assert_eq!(*status, 503, "{answer}");
        assert!(answer.contains("the request was not judged: "), "{answer}");
    }
    let count = |text: &str| answers.iter().filter(|(_, answer)| answer.contains(text)).count();
    assert!(count("no answer from GnuPG in 10 s") > 0, "{answers:?}");
    assert!(count("too many requests wait for their turn; send it again later") > 0, "{answers:?}");
    wait_until("the end of gpg", || gpg(&folder).is_empty());
    fs::remove_file(&ring).unwrap();
    fs::rename(ring.with_extension("away"), &ring).unwrap();
    assert_eq!(search(address, &token).0, 404);
}

#[test]
fn no_gpg_outlives_a_platform_that_is_stopped_or_killed() {
    let mut rig = Rig::new();
    let folder = rig.path("p");
    for is_killed in [false, true] {
        hang(&keyring(&rig));
        let (address, token) = (rig.address.clone(), token(&rig));
        let client = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(&address).unwrap();
            let head = format!(
                "GET /api/v1/search?type=action HTTP/1.1\r\nHost: localhost\r\n\
                 X-PGPAUTHORIZATION: {token}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            // The answer, or the end of the platform.
            let _size = stream.read(&mut [0; 1024]);
        });
        wait_until("a gpg that hangs", || !gpg(&folder).is_empty());
        if is_killed {
            rig.kill_platform_alone();
        } else {
            rig.stop_platform();
        }
        wait_until("the end of gpg", || gpg(&folder).is_empty());
        client.join().unwrap();
        rig.start_platform();
    }
    // The homes of the earlier platform are gone, so nothing hangs.
    assert_eq!(search(&rig.address, &token(&rig)).0, 404);
}

#[test]
fn disabled_investigator_loses_the_keyring() {
    let rig = Rig::new();
    let ring = keyring(&rig);
    let data = |command: &str| {
        let mut data = Command::new(env!("CARGO_BIN_EXE_mig-data"));
        data.arg("-c").arg(rig.path("p/standalone.cfg")).args(["investigator", command, "1"]);
        let output = data.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    data("disable");
    let (status, answer) = search(&rig.address, &token(&rig));
    assert!(status == 401 && answer.contains("made by unknown entity"), "{answer}");
    assert!(!ring.exists());
    data("enable");
    assert_eq!(keyring(&rig), ring);
}
