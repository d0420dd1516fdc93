//! What the client has to know, and what can be wrong with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, retry};
use zeroize::Zeroizing;

use super::proxy::{self, ProxyError, Route, Variables};
use crate::action::Signer;
use crate::config::client::ApiSettings;
use crate::config::runner::ClientSettings;
use crate::config::secret::Secret;
use crate::disk::DiskError;
use crate::disk::input_file::InputFile;

/// The longest certificate or key file, in bytes; the system's whole bundle is a quarter of it.
const PEM_BYTES_MAX: u64 = 1 << 20;
/// How long an idle connection is kept: less than what servers and proxies allow it.
const IDLE_SPAN: Duration = Duration::from_secs(30);
/// How long a page of results may take: the API computes all of it before its first byte.
const PAGE_SPAN: Duration = Duration::from_secs(300);
/// How a key in the one form that is read begins.
const KEY_BEGIN: &[u8] = b"-----BEGIN PRIVATE KEY-----";
/// What we call ourselves.
const USER_AGENT: &str = concat!("mig-runner/", env!("CARGO_PKG_VERSION"));

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The URL is none.
    #[error("the API's url cannot be read: it should be like https://mig.example.net/api/v1/")]
    Url {
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The URL is none of an API.
    #[error("the API's url should begin with https:// or http://, name a host, and have no ? or #")]
    UrlForm,
    /// The API key cannot be sent.
    #[error("the API key has a character that cannot stand in a header")]
    ApiKey,
    /// A certificate or key cannot be read.
    #[error(transparent)]
    Read(#[from] DiskError),
    /// A file with certificates has none.
    #[error("{} holds no certificate in PEM form", path.display())]
    NoCertificate { path: PathBuf },
    /// A file with certificates cannot be used.
    #[error("cannot use the certificates of {}", path.display())]
    Certificate {
        path: PathBuf,
        /// What is wrong with it.
        source: reqwest::Error,
    },
    /// Our own certificate or its key cannot be used.
    #[error(
        "cannot use the client certificate {} with the key {}: both must be in PEM form, the key as PKCS#8 without a passphrase (`openssl pkcs8 -topk8 -nocrypt`)",
        certificate.display(), key.display()
    )]
    Identity {
        certificate: PathBuf,
        key: PathBuf,
        /// What is wrong with them.
        source: reqwest::Error,
    },
    /// The proxy that the environment names cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The HTTP library refuses the settings.
    #[error("cannot set up the HTTP client")]
    Client { source: reqwest::Error },
}

/// What the client has to know.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    /// Where the API is, up to and with its version: `https://HOST/api/v1/`.
    pub(crate) url: String,
    /// What authorises our requests.
    pub(crate) credentials: Credentials,
    /// Which certificates of the API are good.
    pub(crate) certificates: Certificates,
    /// Our own certificate, if the API asks for one.
    pub(crate) identity: Option<ClientIdentity>,
    /// What the environment says about proxies.
    pub(crate) proxies: Variables,
    /// How long connecting may take.
    pub(crate) connect_span: Duration,
    /// How long a call may take as a whole.
    pub(crate) call_span: Duration,
    /// How long a page of results may take as a whole.
    pub(crate) page_span: Duration,
}

impl HttpSettings {
    /// Reads the files that the configuration names, and puts it together.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn read(
        api: &ApiSettings,
        client: &ClientSettings,
        credentials: Credentials,
        proxies: Variables,
    ) -> Result<HttpSettings, SettingsError> {
        let certificates = match &api.ca_cert {
            _ if api.skip_verify => Certificates::Unchecked,
            Some(path) => Certificates::With(Pem::read(path)?),
            None => Certificates::System,
        };
        let identity = match &api.client_cert {
            Some(path) => Some(ClientIdentity {
                certificate: Pem::read(path)?,
                key: Pem::read(api.client_key.as_ref().unwrap_or(path))?,
            }),
            None => None,
        };
        Ok(HttpSettings {
            url: api.url.clone(),
            credentials,
            certificates,
            identity,
            proxies,
            connect_span: client.connect_timeout,
            call_span: client.timeout,
            page_span: client.timeout.max(PAGE_SPAN),
        })
    }
}

/// What authorises our requests.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// Tokens that this signs.
    Signer(Arc<dyn Signer>),
    ApiKey(Secret),
}

/// Which certificates of the API are good.
#[derive(Debug)]
pub(crate) enum Certificates {
    /// Those that the system trusts.
    System,
    /// Those that the system trusts, and those that this file's vouch for.
    With(Pem),
    /// Any: whoever is in between can read and change everything. The caller says so aloud.
    Unchecked,
}

/// Our own certificate and its key.
#[derive(Debug)]
pub(crate) struct ClientIdentity {
    /// The certificate, and those between it and its root.
    pub(crate) certificate: Pem,
    /// Its key, as PKCS#8.
    pub(crate) key: Pem,
}

/// The content of a file in PEM form.
pub(crate) struct Pem {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Pem {
    /// Reads a file or a pipe; links are followed, because certificates are often kept behind one.
    ///
    /// # Errors
    /// The file cannot be read, or is longer than any such file.
    pub(crate) fn read(path: &Path) -> Result<Pem, DiskError> {
        let bytes = Zeroizing::new(InputFile::read(path, PEM_BYTES_MAX)?.bytes);
        Ok(Pem { path: path.to_owned(), bytes })
    }
}

/// Returns the API's URL, with one slash at its end, so that names can be joined to it.
pub(super) fn base(url: &str) -> Result<Url, SettingsError> {
    let base = format!("{}/", url.trim().trim_end_matches('/'));
    let base = Url::parse(&base).map_err(|source| SettingsError::Url { source: source.into() })?;
    let is_web = matches!(base.scheme(), "http" | "https") && base.has_host();
    if is_web && base.query().is_none() && base.fragment().is_none() {
        Ok(base)
    } else {
        Err(SettingsError::UrlForm)
    }
}

/// Returns the HTTP client for the settings, and how it reaches the API.
pub(super) fn http(settings: &HttpSettings) -> Result<(Client, Route), SettingsError> {
    let client = |source| SettingsError::Client { source };
    let route = proxy::decide(&base(&settings.url)?, &settings.proxies)?;
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        // A redirected POST would become a GET, and a token go where nobody meant it to.
        .redirect(Policy::none())
        // A request that was sent is never sent again without our knowing.
        .retry(retry::never())
        .connect_timeout(settings.connect_span)
        .timeout(settings.call_span)
        .pool_idle_timeout(IDLE_SPAN)
        .referer(false)
        // The library would read the variables again, by rules of its own.
        .no_proxy();
    if let Route::Through(proxy) = &route {
        builder = builder.proxy(proxy.of_library().map_err(client)?);
    }
    builder = trusting(builder, &settings.certificates)?;
    if let Some(ClientIdentity { certificate, key }) = &settings.identity {
        let identity = Identity::from_pkcs8_pem(&certificate.bytes, key_of(&key.bytes));
        builder = builder.identity(identity.map_err(|source| SettingsError::Identity {
            certificate: certificate.path.clone(),
            key: key.path.clone(),
            source,
        })?);
    }
    Ok((builder.build().map_err(client)?, route))
}

/// Returns where the key begins, in a file that may hold its certificate as well.
fn key_of(pem: &[u8]) -> &[u8] {
    let begin = pem.windows(KEY_BEGIN.len()).position(|window| window == KEY_BEGIN);
    begin.and_then(|begin| pem.get(begin..)).unwrap_or(pem)
}

fn trusting(
    builder: ClientBuilder,
    certificates: &Certificates,
) -> Result<ClientBuilder, SettingsError> {
    match certificates {
        Certificates::System => Ok(builder),
        Certificates::Unchecked => Ok(builder
            .tls_danger_accept_invalid_certs(true)
            .tls_danger_accept_invalid_hostnames(true)),
        Certificates::With(Pem { path, bytes }) => {
            let path = || path.clone();
            let roots = Certificate::from_pem_bundle(bytes)
                .map_err(|source| SettingsError::Certificate { path: path(), source })?;
            // Of a file without certificates the library makes an empty list.
            if roots.is_empty() {
                return Err(SettingsError::NoCertificate { path: path() });
            }
            Ok(builder.tls_certs_merge(roots))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::client::ClientConfig;
    use crate::config::runner::RunnerConfig;
    use crate::disk::{Fs, RealFs};

    #[test]
    fn a_base_ends_with_one_slash() {
        for url in ["http://h/api/v1", "http://h/api/v1/", " http://h/api/v1// "] {
            assert_eq!(base(url).unwrap().as_str(), "http://h/api/v1/");
        }
        assert_eq!(base("https://h").unwrap().as_str(), "https://h/");
    }

    #[test]
    fn the_configuration_becomes_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut file = RealFs.create(&path("ca.pem")).unwrap();
        file.append(b"a certificate").unwrap();
        let runner = RunnerConfig::parse(
            b"[runner]\ndirectory = /x\n[client]\ntimeout = 7s\n",
            &path("runner.cfg"),
        );
        let client = runner.unwrap().client;
        let read = |more: &str| {
            let text = format!("[api]\nurl = http://h/api/v1/\n{more}[gpg]\nkeyid = {:040}\n", 1);
            let migrc = ClientConfig::parse(text.as_bytes(), &path("migrc")).unwrap();
            let key = Credentials::ApiKey("key".to_owned().into());
            HttpSettings::read(&migrc.api, &client, key, Variables::default())
        };
        let settings = read("").unwrap();
        assert!(matches!(settings.certificates, Certificates::System));
        assert_eq!((settings.call_span, settings.page_span), (Duration::from_secs(7), PAGE_SPAN));
        let ca = format!("cacert = {}\n", path("ca.pem").display());
        assert!(matches!(read(&ca).unwrap().certificates, Certificates::With(_)));
        let all = format!("{ca}skipverifycert = true\n");
        assert!(matches!(read(&all).unwrap().certificates, Certificates::Unchecked));
        let missing = read(&ca.replace("ca.pem", "none.pem")).unwrap_err();
        assert!(missing.to_string().contains("none.pem"), "{missing}");
        // One file may hold both the certificate and its key.
        let both = read(&ca.replace("cacert", "clientcert")).unwrap().identity.unwrap();
        assert_eq!(both.certificate.path, both.key.path);
    }

    #[test]
    fn a_key_may_stand_behind_its_certificate() {
        let both = b"-----BEGIN CERTIFICATE-----\nx\n-----BEGIN PRIVATE KEY-----\ny";
        assert_eq!(key_of(both), b"-----BEGIN PRIVATE KEY-----\ny");
        assert_eq!(key_of(b"nothing"), b"nothing");
    }

    #[test]
    fn what_is_no_url_of_an_api_is_refused() {
        for bad in ["", "h/api", "ftp://h/", "http://", "http://h/?a=b", "http://h/#x", "mailto:a"]
        {
            assert!(base(bad).is_err(), "{bad:?}");
        }
    }
}
