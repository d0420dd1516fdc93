//! The forms in which values are sent to a worker if serde or JSON has no form for them.

/// Bytes, as base64. They may be a passphrase, so every copy that is made in between is wiped.
pub(super) mod bytes {
    use std::fmt;
    use std::marker::PhantomData;

    use base64::engine::general_purpose::STANDARD;
    use base64::{Engine, encoded_len};
    use serde::de::{Error, Visitor};
    use serde::ser::Error as _;
    use serde::{Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(in crate::pgp) fn serialize<S: Serializer>(
        bytes: &impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = bytes.as_ref();
        let mut text = Zeroizing::new(vec![0; encoded_len(bytes.len(), true).unwrap_or_default()]);
        STANDARD.encode_slice(bytes, &mut text).map_err(S::Error::custom)?;
        serializer.serialize_str(str::from_utf8(&text).map_err(S::Error::custom)?)
    }

    pub(in crate::pgp) fn deserialize<'de, D: Deserializer<'de>, T: From<Vec<u8>>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
    }

    struct Text<T>(PhantomData<T>);

    impl<T: From<Vec<u8>>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes in base64")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            STANDARD.decode(text).map(T::from).map_err(E::custom)
        }
    }
}

/// Bytes as a value of their own.
#[cfg(any(test, feature = "data"))]
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Bytes(#[serde(with = "bytes")] pub(super) Vec<u8>);

/// A path, which need not be UTF-8.
pub(super) mod path {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserializer, Serializer};

    pub(in crate::pgp) fn serialize<S: Serializer>(
        path: &Path,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::bytes::serialize(&path.as_os_str().as_bytes(), serializer)
    }

    pub(in crate::pgp) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PathBuf, D::Error> {
        super::bytes::deserialize::<D, Vec<u8>>(deserializer)
            .map(|bytes| OsString::from_vec(bytes).into())
    }
}

/// An error of GnuPG's library, as its number.
pub(super) mod gnupg {
    use gpgme::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::pgp) fn serialize<S: Serializer>(
        error: &Error,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        error.raw().serialize(serializer)
    }

    pub(in crate::pgp) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Error, D::Error> {
        u32::deserialize(deserializer).map(Error::new)
    }
}

/// An error of the system, as its number, or as its text if it has no number.
pub(super) mod system {
    use std::io;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    enum Form {
        Number(i32),
        Text(String),
    }

    pub(in crate::pgp) fn serialize<S: Serializer>(
        error: &io::Error,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let form = error.raw_os_error().map_or_else(|| Form::Text(error.to_string()), Form::Number);
        form.serialize(serializer)
    }

    pub(in crate::pgp) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<io::Error, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Number(number) => io::Error::from_raw_os_error(number),
            Form::Text(text) => io::Error::other(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;

    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    struct All {
        #[serde(with = "super::bytes")]
        bytes: Vec<u8>,
        #[serde(with = "super::path")]
        path: PathBuf,
        #[serde(with = "super::gnupg")]
        gnupg: gpgme::Error,
        #[serde(with = "super::system")]
        system: io::Error,
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        for system in [io::Error::from_raw_os_error(28), io::Error::other("no number")] {
            let path = PathBuf::from(OsStr::from_bytes(b"/not \xff UTF-8"));
            let gnupg = gpgme::Error::from_errno(24);
            let all = All { bytes: vec![0, 255, 10], path, gnupg, system };
            let text = serde_json::to_vec(&all).unwrap();
            assert!(!text.contains(&b'\n'));
            let read: All = serde_json::from_slice(&text).unwrap();
            assert_eq!((&read.bytes, &read.path), (&all.bytes, &all.path));
            assert_eq!((read.gnupg.raw(), read.gnupg.to_errno()), (all.gnupg.raw(), 24));
            assert_eq!(read.system.to_string(), all.system.to_string());
            assert_eq!(read.system.raw_os_error(), all.system.raw_os_error());
        }
        let wrong: Result<All, _> = serde_json::from_str(r#"{"bytes":"!"}"#);
        assert!(wrong.is_err());
    }
}
