//! Forged signatures with the id of a real key: each is refused, because it could be checked. If one
//! counted as unchecked, any client could make the platform run GnuPG twice and log a failure.

use super::*;

/// A signature packet, split so that its parts can be replaced.
struct Forgery {
    /// Class, algorithm and digest.
    kinds: [u8; 3],
    /// The subpackets and the head of the digest.
    middle: Vec<u8>,
    numbers: Vec<u8>,
}

impl Forgery {
    fn packet(&self) -> Vec<u8> {
        let body = [&[4][..], &self.kinds, &self.middle, &self.numbers].concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[0xc2, 255][..], &length, &body].concat()
    }
}

/// Returns a number of this many bits.
fn number(bits: u16) -> Vec<u8> {
    let mut bytes = vec![0xff; usize::from(bits.div_ceil(8))];
    if let (Some(first), spare @ 1..) = (bytes.first_mut(), (8 - bits % 8) % 8) {
        *first >>= spare;
    }
    [&bits.to_be_bytes()[..], &bytes].concat()
}

/// The home of a key, and a signature by it in parts.
struct Signed {
    home: Home,
    kinds: [u8; 3],
    middle: Vec<u8>,
    numbers: Vec<u8>,
}

impl Signed {
    fn new() -> Signed {
        let home = Home::new();
        let key = home.key("rsa1024", None);
        let line = GpgSigner::open(home.path(), key.as_str(), None).unwrap().sign(TEXT).unwrap();
        let content = armor::from_line(line.as_str()).unwrap();
        let body = packet::packets(&content).unwrap()[0].body;
        let [4, class, algorithm, digest, rest @ ..] = body else { panic!("{body:?}") };
        // The number has two bytes of length and 128 bytes at most.
        let numbers = number(1024).len();
        let (middle, numbers) = rest.split_at(rest.len() - numbers);
        Signed {
            home,
            kinds: [*class, *algorithm, *digest],
            middle: middle.to_vec(),
            numbers: numbers.to_vec(),
        }
    }

    fn with(&self, kinds: [u8; 3], numbers: &[u8]) -> Forgery {
        Forgery { kinds, middle: self.middle.clone(), numbers: numbers.to_vec() }
    }

    fn check(&self, content: &[u8]) -> Result<Fingerprint, VerifyError> {
        let line = armor::to_line(content).unwrap();
        verify(self.home.path(), TEXT, line.as_str(), RsaNumbers::AnyLength)
    }

    fn assert_refused(&self, content: &[u8], what: &str) {
        let error = self.check(content).unwrap_err();
        assert!(error.is_verdict(), "{what}: {error:?}");
    }
}

#[test]
fn every_class_algorithm_and_digest_of_a_forged_signature_is_judged() {
    let signed = Signed::new();
    let [class, algorithm, digest] = signed.kinds;
    signed.check(&signed.with(signed.kinds, &signed.numbers).packet()).unwrap();
    for value in 0..=u8::MAX {
        if value != class {
            let kinds = [value, algorithm, digest];
            signed.assert_refused(&signed.with(kinds, &signed.numbers).packet(), "class");
        }
        if value != digest {
            let kinds = [class, algorithm, value];
            signed.assert_refused(&signed.with(kinds, &signed.numbers).packet(), "digest");
        }
        if value != algorithm && value != 3 {
            for numbers in [number(8), [number(160), number(160)].concat()] {
                let kinds = [class, value, digest];
                signed.assert_refused(&signed.with(kinds, &numbers).packet(), "algorithm");
            }
        }
    }
}

#[test]
fn numbers_of_every_length_are_judged() {
    let signed = Signed::new();
    for bits in [0, 1, 8, 1023, 1024, 1025, 8192, 16_384, 16_385, 32_000] {
        for algorithm in [1, 3] {
            let kinds = [signed.kinds[0], algorithm, signed.kinds[2]];
            let what = format!("{bits} bits with algorithm {algorithm}");
            signed.assert_refused(&signed.with(kinds, &number(bits)).packet(), &what);
        }
        for algorithm in [17, 19, 22] {
            let kinds = [signed.kinds[0], algorithm, signed.kinds[2]];
            let numbers = [number(bits / 2), number(bits.min(8))].concat();
            let what = format!("{bits} bits with algorithm {algorithm}");
            signed.assert_refused(&signed.with(kinds, &numbers).packet(), &what);
        }
    }
}

#[test]
fn only_the_first_packet_of_a_signature_counts() {
    let signed = Signed::new();
    let good = signed.with(signed.kinds, &signed.numbers).packet();
    let [class, algorithm, _] = signed.kinds;
    let text = signed.with([1 - class, algorithm, 8], &signed.numbers).packet();
    let key = signed.with([0x13, algorithm, 99], &signed.numbers).packet();
    let empty = vec![0xc2, 0];
    for other in [&text, &key, &empty] {
        signed.check(&[&good[..], other].concat()).unwrap();
        signed.assert_refused(&[other, &good[..]].concat(), "first");
    }
}
