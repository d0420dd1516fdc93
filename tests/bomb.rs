//! Packets that unpack to gigabytes: compressed data in compressed data.

use flate2::{Compress, Compression, FlushCompress};

/// Size of the zeros that are compressed once and then repeated, in bytes.
const PART_BYTES: usize = 16 << 20;
/// The number of repetitions: the bomb unpacks to 4 GiB.
const PARTS: usize = 256;

/// Returns a compressed packet of a few hundred bytes that contains 4 GiB of literal data.
pub(crate) fn bomb() -> Vec<u8> {
    // Literal data of indeterminate length: binary, no name, no date.
    let head = [0xaf, b'b', 0, 0, 0, 0, 0];
    let inner =
        compressed(&[&deflated(&head)[..], &deflated(&vec![0; PART_BYTES]).repeat(PARTS)].concat());
    let middle = compressed(&deflated(&inner));
    let bomb = compressed(&deflated(&middle));
    assert!(bomb.len() < 2000, "{} bytes", bomb.len());
    bomb
}

/// Returns a compressed packet with these blocks of the deflate format.
fn compressed(blocks: &[u8]) -> Vec<u8> {
    // A packet of indeterminate length, with the algorithm ZIP; then an empty last block.
    [&[0xa3, 1][..], blocks, &[3, 0]].concat()
}

/// Returns blocks that unpack to `data`. They refer to nothing before them and can be repeated.
fn deflated(data: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(data.len() / 100 + 1024);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(data, &mut blocks, FlushCompress::Full).unwrap();
    assert!(blocks.len() < blocks.capacity(), "all blocks have been written");
    blocks
}
