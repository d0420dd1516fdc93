//! The settings of the HTTP client and their validation.

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

/// Size limit, in bytes, of a certificate or key file; the system's whole bundle is a quarter of
/// it.
const PEM_BYTES_MAX: u64 = 1 << 20;
/// Time limit for idle connections, shorter than those of servers and proxies.
const IDLE_SPAN: Duration = Duration::from_secs(30);
/// Time limit for a page of results: the API computes all of it before it sends the first byte.
const PAGE_SPAN: Duration = Duration::from_secs(300);
/// The first line of a key in the only supported form.
const KEY_BEGIN: &[u8] = b"-----BEGIN PRIVATE KEY-----";
const USER_AGENT: &str = concat!("mig-runner/", env!("CARGO_PKG_VERSION"));

/// The client cannot be created with these settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("invalid url of the API: write it as https://mig.example.net/api/v1/")]
    Url { source: Box<dyn std::error::Error + Send + Sync> },
    /// The URL is valid, but not that of an API.
    #[error(
        "invalid url of the API: it must begin with https:// or http://, name a host, and contain no ? or #"
    )]
    UrlForm,
    #[error("the API key contains a character that a header cannot contain")]
    ApiKey,
    /// A certificate or key file cannot be read.
    #[error(transparent)]
    Read(#[from] DiskError),
    #[error("{} contains no certificate in PEM form", path.display())]
    NoCertificate { path: PathBuf },
    #[error("cannot use the certificates in {}", path.display())]
    Certificate { path: PathBuf, source: reqwest::Error },
    /// The client certificate or its key cannot be used.
    #[error(
        "cannot use the client certificate {} with the key {}: both must be in PEM form, the key as PKCS#8 without a passphrase (`openssl pkcs8 -topk8 -nocrypt`)",
        certificate.display(), key.display()
    )]
    Identity { certificate: PathBuf, key: PathBuf, source: reqwest::Error },
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The HTTP library rejects the settings.
    #[error("cannot set up the HTTP client")]
    Client { source: reqwest::Error },
}

#[derive(Debug)]
pub(crate) struct HttpSettings {
    /// The base URL of the API including its version: `https://HOST/api/v1/`.
    pub(crate) url: String,
    pub(crate) credentials: Credentials,
    pub(crate) certificates: Certificates,
    /// The client certificate, if the API requests one.
    pub(crate) identity: Option<ClientIdentity>,
    pub(crate) proxies: Variables,
    /// Time limit for connecting.
    pub(crate) connect_span: Duration,
    /// Time limit for a whole call.
    pub(crate) call_span: Duration,
    /// Time limit for a whole call that returns a page of results.
    pub(crate) page_span: Duration,
}

impl HttpSettings {
    /// Creates the settings from the configuration, reading the files that it names.
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

/// The source of the authorization of requests.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// Tokens signed by this signer.
    Signer(Arc<dyn Signer>),
    ApiKey(Secret),
}

/// The server certificates that the client accepts.
#[derive(Debug)]
pub(crate) enum Certificates {
    System,
    /// Those that the system trusts, and those issued by a certificate of this file.
    With(Pem),
    /// Any certificate. An attacker on the network can then read and change all traffic, so the
    /// caller logs a warning.
    Unchecked,
}

#[derive(Debug)]
pub(crate) struct ClientIdentity {
    /// The certificate, and the intermediate certificates up to its root.
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
    /// Reads a file. Symbolic links are followed, because certificates are often behind one.
    ///
    /// # Errors
    /// The file cannot be read, or exceeds the size limit.
    pub(crate) fn read(path: &Path) -> Result<Pem, DiskError> {
        let bytes = Zeroizing::new(InputFile::read_configured(path, PEM_BYTES_MAX)?.bytes);
        Ok(Pem { path: path.to_owned(), bytes })
    }
}

/// Parses the API's base URL and makes it end with one slash, so that names can be appended.
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

/// Creates the HTTP client for the settings and decides on the route to the API.
pub(super) fn http(settings: &HttpSettings) -> Result<(Client, Route), SettingsError> {
    let client = |source| SettingsError::Client { source };
    let route = proxy::decide(&base(&settings.url)?, &settings.proxies)?;
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        // A redirected POST would become a GET, and the token could be sent to another server.
        .redirect(Policy::none())
        // The library must not repeat requests by itself.
        .retry(retry::never())
        .connect_timeout(settings.connect_span)
        .timeout(settings.call_span)
        .pool_idle_timeout(IDLE_SPAN)
        .referer(false)
        // The library would evaluate the proxy variables again, by rules of its own.
        .no_proxy();
    if let Route::Through(proxy) = &route {
        builder = builder.proxy(proxy.to_reqwest().map_err(client)?);
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

/// Returns the key in a file that may contain its certificate as well.
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
            // The library returns an empty list for a file without certificates.
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
    fn base_url_ends_with_one_slash() {
        for url in ["http://h/api/v1", "http://h/api/v1/", " http://h/api/v1// "] {
            assert_eq!(base(url).unwrap().as_str(), "http://h/api/v1/");
        }
        assert_eq!(base("https://h").unwrap().as_str(), "https://h/");
    }

    #[test]
    fn settings_are_read_from_the_configuration() {
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
        // One file may contain both the certificate and its key.
        let both = read(&ca.replace("cacert", "clientcert")).unwrap().identity.unwrap();
        assert_eq!(both.certificate.path, both.key.path);
    }

    #[test]
    fn key_may_follow_its_certificate() {
        let both = b"-----BEGIN CERTIFICATE-----\nx\n-----BEGIN PRIVATE KEY-----\ny";
        assert_eq!(key_of(both), b"-----BEGIN PRIVATE KEY-----\ny");
        assert_eq!(key_of(b"nothing"), b"nothing");
    }

    #[test]
    fn invalid_api_url_is_rejected() {
        for bad in ["", "h/api", "ftp://h/", "http://", "http://h/?a=b", "http://h/#x", "mailto:a"]
        {
            assert!(base(bad).is_err(), "{bad:?}");
        }
    }
}
