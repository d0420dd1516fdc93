//! Exports of the real GnuPG, whole and damaged.
