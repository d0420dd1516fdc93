//! Workers of the unit tests' own executable, with the real GnuPG or with programs in its place.

use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use zeroize::Zeroizing;

use super::*;
use crate::pgp::calls::{Calls, CheckEngine, Export, Passphrase, Sign};
use crate::pgp::testing::Home;
use crate::pgp::testing::hang::HangingGpg;
use crate::pgp::testing::memory::copies;
use crate::spawn::session::testing::session;

/// More time than any call of these tests takes.
const AMPLE: Duration = Duration::from_secs(60);

/// Serves the tests of this process as a worker; see [`ARGUMENTS`].
#[test]
fn serve_as_a_worker() {
    // Among the other tests, stdin is not the socket of a parent.
    if let Err(error) = serve() {
        println!("{error}");
    }
}

fn check(home: &Path) -> CheckEngine {
    CheckEngine { home: home.to_owned() }
}

/// Returns the only group in use or idle.
fn group(pool: &Pool) -> Pid {
    let groups = pool.groups();
    assert_eq!(groups.len(), 1, "{groups:?}");
    groups[0]
}

#[test]
fn worker_serves_many_calls() {
    let (home, pool) = (Home::new(), Pool::new(&ARGUMENTS));
    let mut groups = Vec::new();
    for _ in 0..3 {
        pool.call(check(home.path()), AMPLE).unwrap().unwrap();
        groups.push(group(&pool));
    }
    groups.dedup();
    assert_eq!(groups.len(), 1);
    pool.close();
    assert!(matches!(pool.call(check(home.path()), AMPLE), Err(WorkerError::Closed)));
    assert_eq!(kill_process(groups[0], Signal::CONT), Err(Errno::SRCH), "it is reaped");
}

#[test]
fn worker_has_no_terminal() {
    let (home, pool) = (Home::new(), Pool::new(&ARGUMENTS));
    pool.call(check(home.path()), AMPLE).unwrap().unwrap();
    let worker = u32::try_from(group(&pool).as_raw_nonzero().get()).unwrap();
    assert_eq!(session(worker), (worker, 0));
    pool.close();
}

#[test]
fn worker_that_was_killed_while_idle_is_replaced() {
    let (home, pool) = (Home::new(), Pool::new(&ARGUMENTS));
    for _ in 0..3 {
        pool.call(check(home.path()), AMPLE).unwrap().unwrap();
        kill_process(group(&pool), Signal::KILL).unwrap();
    }
    pool.call(check(home.path()), AMPLE).unwrap().unwrap();
    pool.close();
}

#[test]
fn hanging_gpg_is_killed_at_the_time_limit() {
    let (home, pool) = (Home::new(), Pool::new(&ARGUMENTS));
    let key = home.key("rsa1024", None);
    let hanging = HangingGpg::new(home.path());
    let export = || Export { home: home.path().to_owned(), key: key.clone() };
    let span = Duration::from_secs(3);
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| pool.call(export(), span));
        hanging.wait_started();
        let error = caller.join().unwrap().unwrap_err();
        assert!(matches!(error, WorkerError::Timeout(limit) if limit == span), "{error}");
    });
    hanging.assert_ended();
    assert_eq!(pool.groups(), []);
    drop(hanging);
    assert!(!pool.call(export(), AMPLE).unwrap().unwrap().0.is_empty());
    pool.close();
}

#[test]
fn closing_ends_calls_in_progress_and_their_gpg() {
    let (home, pool) = (Home::new(), Pool::new(&ARGUMENTS));
    let key = home.key("rsa1024", None);
    let hanging = HangingGpg::new(home.path());
    std::thread::scope(|scope| {
        let export = Export { home: home.path().to_owned(), key };
        let caller = scope.spawn(|| pool.call(export, AMPLE));
        hanging.wait_started();
        pool.close();
        assert!(matches!(caller.join().unwrap(), Err(WorkerError::Ended(_))));
    });
    hanging.assert_ended();
}

#[test]
fn more_callers_than_workers_wait_for_their_turn() {
    let (home, pool) = (Home::new(), Pool::new(&ARGUMENTS));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| pool.call(check(home.path()), AMPLE).unwrap().unwrap());
        }
    });
    assert!(pool.groups().len() <= 4, "{:?}", pool.groups());
    pool.close();
}

#[test]
fn invalid_request_ends_the_worker() {
    let unknown = b"\0\0\0\x02{}";
    let not_base64 = b"\0\0\0\x20{\"Export\":{\"home\":\"!\",\"key\":\"\"}}";
    for request in [&unknown[..], b"\0\0\0\x01x", not_base64, b"\xff\xff\xff\xff"] {
        let mut worker = process::Process::start(&ARGUMENTS, &[]).unwrap();
        let deadline = crate::spawn::deadline::Deadline::after(AMPLE);
        let error = worker.exchange(request, deadline, AMPLE).unwrap_err();
        assert!(matches!(error, WorkerError::Ended(_)), "{error}");
    }
}

#[test]
fn fault_of_a_call_crosses_the_socket_unchanged() {
    let home = Home::new();
    let key = crate::pgp::Fingerprint::new(&"A".repeat(40));
    let gone = home.path().join("none");
    let call = || crate::pgp::calls::FindKey { home: gone.clone(), id: key.to_string() };
    let direct = crate::pgp::calls::Call::run(call(), &mut Calls::default()).unwrap_err();
    let pool = Pool::new(&ARGUMENTS);
    let sent = pool.call(call(), AMPLE).unwrap().unwrap_err();
    pool.close();
    let text = |error| crate::chain::Chain(error).to_string();
    assert_eq!(text(&sent), text(&direct));
    assert!(text(&sent).contains("No such file or directory (os error 2)"), "{sent}");
}

/// The passphrase of a signature.
const PASSPHRASE: [u8; 24] = *b"only-copies-of-this-text";
/// The passphrase in base64, with each character replaced by the next one: the test that searches for
/// it must not contain it.
const HIDDEN: &[u8] = b"c36tfT2kc4Cq[YNuc3ZueHiqdz21[Yi1";

#[test]
fn signature_leaves_no_copy_of_the_passphrase() {
    let (home, pool) = (Home::new(), Pool::new(&ARGUMENTS));
    let key = home.key("rsa1024", None);
    for size in [100, 200 << 10, 5 << 20] {
        let passphrase = Some(Passphrase(Zeroizing::new(PASSPHRASE.to_vec())));
        let (home, key) = (home.path().to_owned(), key.clone());
        pool.call(Sign { home, key, passphrase, bytes: vec![b'x'; size] }, AMPLE).unwrap().unwrap();
        let worker = group(&pool).as_raw_nonzero().to_string();
        assert_eq!((copies("self", HIDDEN), copies(&worker, HIDDEN)), (0, 0), "{size}");
    }
    pool.close();
}
