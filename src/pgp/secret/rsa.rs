//! A secret RSA key in OpenSSL.
//!
//! OpenSSL signs with the Chinese remainder theorem, checks the result with the public key, and clears
//! the secret numbers when it frees the key.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::md::Md;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};

use super::SecretKeyError;
use crate::pgp::mpi;

/// A digest by SHA-256.
pub(in crate::pgp) type Sha256Digest = [u8; 32];

/// The modulus and the public exponent.
pub(super) struct PublicNumbers<'a> {
    pub(super) n: &'a [u8],
    pub(super) e: &'a [u8],
}

/// The private exponent, the two primes, and the inverse of `p` modulo `q`.
pub(super) struct SecretNumbers<'a> {
    d: &'a [u8],
    p: &'a [u8],
    q: &'a [u8],
    u: &'a [u8],
}

impl<'a> SecretNumbers<'a> {
    /// Parses the numbers, which fill all bytes.
    pub(super) fn read(bytes: &'a [u8]) -> Option<SecretNumbers<'a>> {
        let (d, rest) = mpi::number(bytes)?;
        let (p, rest) = mpi::number(rest)?;
        let (q, rest) = mpi::number(rest)?;
        let (u, rest) = mpi::number(rest)?;
        rest.is_empty().then_some(SecretNumbers { d, p, q, u })
    }
}

/// A key that signs. Threads can share it.
pub(in crate::pgp) struct RsaKey(PKey<Private>);

impl RsaKey {
    /// Creates the key, after checking that its numbers belong together.
    pub(super) fn new(
        public: &PublicNumbers<'_>,
        secret: &SecretNumbers<'_>,
    ) -> Result<RsaKey, SecretKeyError> {
        let (n, e) = (BigNum::from_slice(public.n)?, BigNum::from_slice(public.e)?);
        // OpenSSL exchanges the names, and needs the inverse of its q modulo its p.
        let (p, q) = (number(secret.q)?, number(secret.p)?);
        let (d, inverse) = (number(secret.d)?, number(secret.u)?);
        if !are_of_modulus(&n, &p, &q)? {
            return Err(SecretKeyError::Numbers);
        }
        let (dmp1, dmq1) = (reduced(&d, &p)?, reduced(&d, &q)?);
        let rsa = Rsa::from_private_components(n, e, d, p, q, dmp1, dmq1, inverse)?;
        let key = RsaKey(PKey::from_rsa(rsa)?);
        // The exponents are right if a signature verifies.
        match key.verifies()? {
            true => Ok(key),
            false => Err(SecretKeyError::Numbers),
        }
    }

    /// Returns the number of a signature, which is as long as the modulus. The scheme is PKCS #1 v1.5, so
    /// the same digest always gives the same number.
    pub(in crate::pgp) fn sign(&self, digest: &Sha256Digest) -> Result<Vec<u8>, SecretKeyError> {
        let mut context = PkeyCtx::new(&self.0)?;
        context.sign_init()?;
        context.set_rsa_padding(Padding::PKCS1)?;
        context.set_signature_md(Md::sha256())?;
        let mut number = Vec::new();
        context.sign_to_vec(digest, &mut number)?;
        Ok(number)
    }

    /// Signs once, and checks the signature with the public key.
    fn verifies(&self) -> Result<bool, SecretKeyError> {
        let digest = [0; 32];
        let Ok(signature) = self.sign(&digest) else { return Ok(false) };
        let mut context = PkeyCtx::new(&self.0)?;
        context.verify_init()?;
        context.set_rsa_padding(Padding::PKCS1)?;
        context.set_signature_md(Md::sha256())?;
        Ok(context.verify(&digest, &signature).unwrap_or(false))
    }
}

/// Returns a secret number, whose memory OpenSSL clears when it frees it, even after an error.
fn number(bytes: &[u8]) -> Result<BigNum, SecretKeyError> {
    let mut number = BigNum::new_secure()?;
    number.copy_from_slice(bytes)?;
    number.set_const_time();
    Ok(number)
}

/// Returns whether two primes are those of a modulus.
fn are_of_modulus(n: &BigNumRef, p: &BigNumRef, q: &BigNumRef) -> Result<bool, SecretKeyError> {
    let (mut product, mut context) = (BigNum::new()?, BigNumContext::new()?);
    product.checked_mul(p, q, &mut context)?;
    Ok(product.ucmp(n).is_eq())
}

/// Returns an exponent modulo `prime - 1`.
fn reduced(exponent: &BigNumRef, prime: &BigNumRef) -> Result<BigNum, SecretKeyError> {
    let (mut less, mut reduced) = (BigNum::new_secure()?, BigNum::new_secure()?);
    less.checked_sub(prime, &*BigNum::from_u32(1)?)?;
    let mut context = BigNumContext::new_secure()?;
    reduced.nnmod(exponent, &less, &mut context)?;
    less.clear();
    Ok(reduced)
}
