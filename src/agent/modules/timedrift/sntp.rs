//! The packets of the Simple Network Time Protocol, RFC 4330 and 5905.
//!
//! A time in them is seconds since 1900 and their fraction, 32 bits each. The seconds begin
//! anew every 136 years, next in 2036; of the times that they may mean the one nearest to
//! this host's clock is taken.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The length of a packet without extensions.
const PACKET_BYTES: usize = 48;
/// The length of the number by which an answer is known as one to our question.
pub(super) const COOKIE_BYTES: usize = 8;
/// Version 4, asked by a client.
const QUESTION: u8 = 0b00_100_011;
/// The mode of an answer.
const SERVER: u8 = 4;
/// The leap indicator of a server that does not know the time.
const UNKNOWN: u8 = 3;
/// The highest stratum of a server that knows the time.
const STRATUM_MAX: u8 = 15;
/// The seconds from 1900 to 1970.
const EPOCH_SECONDS: i64 = 2_208_988_800;
/// How many seconds an era has.
const ERA_SECONDS: i64 = 1 << 32;

const ORIGIN_AT: usize = 24;
const RECEIVED_AT: usize = 32;
const SENT_AT: usize = 40;

/// An answer that tells no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    /// It is too short.
    #[error("it has {0} bytes, not {PACKET_BYTES}")]
    Short(usize),
    /// It is not from a server.
    #[error("its mode is {0}, not that of a server")]
    Mode(u8),
    /// It is none to our question.
    #[error("it is no answer to our question")]
    Foreign,
    /// The server wants not to be asked.
    #[error("the server refuses with {0:?}")]
    Refused(String),
    /// The server does not know the time itself.
    #[error("the server is not synchronised")]
    Unsynchronised,
    /// There is no time in it.
    #[error("it tells no time")]
    NoTime,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// When it got the question.
    received: u64,
    /// When it sent the answer.
    sent: u64,
}

/// What is known when the answer has come.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The server's time then.
    pub(super) time: Timestamp,
    /// How much this host's clock is ahead of it.
    pub(super) drift: SignedDuration,
    /// How long question and answer took.
    pub(super) latency: Duration,
}

/// Returns a question. In place of our time, which is nobody's business, it carries `cookie`.
pub(super) fn question(cookie: [u8; COOKIE_BYTES]) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    if let Some((first, rest)) = packet.split_first_mut() {
        *first = QUESTION;
        if let Some(sent) = rest.last_chunk_mut() {
            *sent = cookie;
        }
    }
    packet
}

/// Reads the answer to a question.
pub(super) fn answer(packet: &[u8], cookie: [u8; COOKIE_BYTES]) -> Result<Answer, AnswerError> {
    let [flags, stratum, ..] = packet else { return Err(AnswerError::Short(packet.len())) };
    let short = || AnswerError::Short(packet.len());
    let (origin, received, sent) = (
        field(packet, ORIGIN_AT).ok_or_else(short)?,
        field(packet, RECEIVED_AT).ok_or_else(short)?,
        field(packet, SENT_AT).ok_or_else(short)?,
    );
    let (leap, mode) = (flags >> 6, flags & 0b111);
    if origin != u64::from_be_bytes(cookie) {
        return Err(AnswerError::Foreign);
    }
    if mode != SERVER {
        return Err(AnswerError::Mode(mode));
    }
    if *stratum == 0 {
        let code = packet.get(12..16).unwrap_or_default();
        return Err(AnswerError::Refused(String::from_utf8_lossy(code).into_owned()));
    }
    if leap == UNKNOWN || *stratum > STRATUM_MAX {
        return Err(AnswerError::Unsynchronised);
    }
    // A fraction of nothing is what a server writes that has not filled it in.
    if sent >> 32 == 0 || sent.trailing_zeros() >= 32 {
        return Err(AnswerError::NoTime);
    }
    Ok(Answer { received, sent })
}

fn field(packet: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}

impl Answer {
    /// Compares this answer, which came at `local` and `latency` after the question, with our clock.
    pub(super) fn read(&self, local: Timestamp, latency: Duration) -> Reading {
        // The time that the server took is none of the way; what cannot be is left out.
        let held = match self.received {
            0 => Duration::ZERO,
            received => between(received, self.sent),
        };
        let held = if held <= latency { held } else { Duration::ZERO };
        let way = latency.saturating_sub(held) / 2;
        let time = crate::clock::after(near(self.sent, local), way);
        Reading { time, drift: local.duration_since(time), latency }
    }
}

/// Returns the span between two times of a server, the longest if they are reversed.
fn between(earlier: u64, later: u64) -> Duration {
    later.checked_sub(earlier).map_or(Duration::MAX, |span| Duration::new(span >> 32, nanos(span)))
}

/// Returns the time that is meant by `stamp`: of all eras the one that is nearest to `local`.
fn near(stamp: u64, local: Timestamp) -> Timestamp {
    let seconds = i64::try_from(stamp >> 32).unwrap_or_default();
    let ours = local.as_second().saturating_add(EPOCH_SECONDS);
    let ahead = (seconds - ours).rem_euclid(ERA_SECONDS);
    let ahead = if ahead >= ERA_SECONDS / 2 { ahead - ERA_SECONDS } else { ahead };
    let nanos = i32::try_from(nanos(stamp)).unwrap_or_default();
    let meant = Timestamp::new(local.as_second().saturating_add(ahead), nanos);
    // The first and the last seconds of all that can be told are far from any clock.
    meant.unwrap_or(local)
}

/// Returns the nanoseconds of the fraction in the lower half of `stamp`.
fn nanos(stamp: u64) -> u32 {
    let fraction = stamp & u64::from(u32::MAX);
    u32::try_from((fraction * 1_000_000_000) >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; COOKIE_BYTES] = *b"01234567";

    /// Returns an answer whose bytes `change` may alter.
    fn changed(change: impl Fn(&mut [u8; PACKET_BYTES])) -> Result<Answer, AnswerError> {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = 0b00_100_100;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&COOKIE);
        packet[40..48].copy_from_slice(&[0xe0, 0, 0, 0, 0x80, 0, 0, 0]);
        change(&mut packet);
        answer(&packet, COOKIE)
    }

    #[test]
    fn a_question_has_no_time_but_a_number() {
        let packet = question(COOKIE);
        assert_eq!((packet[0], &packet[40..]), (0x23, &COOKIE[..]));
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn an_answer_is_believed_only_if_it_can_be() {
        let believed = Answer { received: 0, sent: 0xe000_0000_8000_0000 };
        assert_eq!(changed(|_| ()), Ok(believed));
        assert_eq!(changed(|p| p[24] = 0), Err(AnswerError::Foreign));
        assert_eq!(changed(|p| p[0] = 0x23), Err(AnswerError::Mode(3)));
        assert_eq!(changed(|p| p[0] |= 0b1100_0000), Err(AnswerError::Unsynchronised));
        assert_eq!(changed(|p| p[1] = 16), Err(AnswerError::Unsynchronised));
        assert_eq!(changed(|p| p[40..].fill(0)), Err(AnswerError::NoTime));
        assert_eq!(changed(|p| p[44..].fill(0)), Err(AnswerError::NoTime));
        let refused = changed(|p| {
            p[1] = 0;
            p[12..16].copy_from_slice(b"RATE");
        });
        assert_eq!(refused, Err(AnswerError::Refused("RATE".to_owned())));
        assert_eq!(answer(&[0; 47], COOKIE), Err(AnswerError::Short(47)));
        assert_eq!(answer(&[], COOKIE), Err(AnswerError::Short(0)));
    }

    fn stamp(at: Timestamp) -> u64 {
        let seconds = (at.as_second() + EPOCH_SECONDS).cast_unsigned();
        let nanos = u64::from(at.subsec_nanosecond().cast_unsigned());
        (seconds << 32) | ((nanos << 32) / 1_000_000_000 + 1)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_time_is_corrected_for_the_way_back_but_not_for_what_the_server_took() {
        let latency = Duration::from_millis(300);
        let sent = stamp(at("2026-11-22T02:00:00Z"));
        let drift = |received: u64| {
            let answer = Answer { received, sent };
            let reading = answer.read(at("2026-11-22T02:00:10Z"), latency);
            // To what a fraction of 32 bits can tell.
            (reading.drift.as_nanos() + 500) / 1000
        };
        assert_eq!(drift(0), 9_850_000);
        assert_eq!(drift(stamp(at("2026-11-22T01:59:59.9Z"))), 9_900_000);
        // What cannot be is not believed.
        assert_eq!(drift(stamp(at("2026-11-22T01:59:50Z"))), 9_850_000);
        assert_eq!(drift(stamp(at("2026-11-22T02:00:01Z"))), 9_850_000);
    }

    #[test]
    fn eras_are_passed_in_both_directions() {
        let era = at("2036-02-07T06:28:16Z");
        let reading = |sent: Timestamp, local: Timestamp| {
            let answer = Answer { received: 0, sent: stamp(sent) };
            answer.read(local, Duration::ZERO).drift.as_secs()
        };
        let minute = SignedDuration::from_mins(1);
        assert_eq!(reading(era + minute, era - minute), -120);
        assert_eq!(reading(era - minute, era + minute), 120);
        assert_eq!(reading(at("2100-01-01T00:00:00Z"), at("2100-01-01T01:00:00Z")), 3600);
        assert_eq!(reading(at("1970-01-01T00:00:05Z"), at("1970-01-01T00:00:00Z")), -5);
    }
}
