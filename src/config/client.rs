//! `.migrc`: how to reach the platform, and which key signs.
//!
//! MIG's own clients use the same file. The keys `cacert`, `clientcert` and `clientkey` are
//! additions.

use std::path::{Path, PathBuf};

use super::fault::ConfigError;
use super::reader::{Located, Reader, Section};
use super::secret::Secret;

/// The settings of `.migrc`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientConfig {
    pub(crate) api: ApiSettings,
    pub(crate) gpg: GpgSettings,
    /// The macros of `[targets]`.
    pub(crate) macros: Vec<TargetMacro>,
}

/// `[api]`: how to reach the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiSettings {
    /// The base URL, with scheme http or https and a trailing `/`.
    pub(crate) url: String,
    /// Whether to accept any server certificate.
    pub(crate) skip_verify: bool,
    /// A file of trusted certificates in addition to the system's.
    pub(crate) ca_cert: Option<PathBuf>,
    /// A file with the client certificate.
    pub(crate) client_cert: Option<PathBuf>,
    /// The file with its key, if it is a different one.
    pub(crate) client_key: Option<PathBuf>,
}

/// `[gpg]`: the signing key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GpgSettings {
    /// The GnuPG home; `None` means GnuPG's default.
    pub(crate) home: Option<PathBuf>,
    /// The fingerprint or long id of the key, in upper case, without blanks.
    pub(crate) key_id: String,
    /// A key server, which the runner does not use.
    pub(crate) keyserver: Option<String>,
    /// The API key to send instead of a signed token.
    pub(crate) api_key: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetMacro {
    /// The name to write in an action.
    pub(crate) name: String,
    pub(crate) target: String,
}

impl ClientConfig {
    /// Parses the text of `file`.
    pub(crate) fn parse(text: &[u8], file: &Path) -> Result<ClientConfig, ConfigError> {
        let mut reader = Reader::new(text);
        let api = reader.section("api", ApiSettings::read);
        let gpg = reader.section("gpg", GpgSettings::read);
        let macros = reader.section("targets", |targets| {
            let found = targets.list("macro");
            found.iter().filter_map(|found| targets.parsed("macro", found, parse_macro)).collect()
        });
        let config = api.zip(gpg).map(|(api, gpg)| ClientConfig { api, gpg, macros });
        reader.finish(file, config)
    }

    /// Returns the target that a macro stands for, or `target` itself if it is not the name of a
    /// macro.
    pub(crate) fn expand<'a>(&'a self, target: &'a str) -> &'a str {
        let found = self.macros.iter().rfind(|known| known.name == target);
        found.map_or(target, |known| &known.target)
    }
}

impl ApiSettings {
    fn read(section: &mut Section<'_>) -> Option<ApiSettings> {
        let url = section.required("url", "https://mig.example.net/api/v1/");
        let url = url.and_then(|url| {
            // Not checked by `parsed`, whose message shows the invalid value.
            if url.value.contains('@') {
                section.fault(url.line, USER_IN_URL.to_owned());
                return None;
            }
            section.parsed("url", &url, parse_url)
        });
        let skip_verify = section.flag("skipverifycert").unwrap_or(false);
        let ca_cert = section.path("cacert");
        let client_cert = section.path("clientcert");
        let client_key = section.text("clientkey");
        if let (None, Some(key)) = (&client_cert, &client_key) {
            let text = "clientkey is set without clientcert: set both";
            section.fault(key.line, text.to_owned());
        }
        let client_key = client_key.map(|key| PathBuf::from(key.value));
        Some(ApiSettings { url: url?, skip_verify, ca_cert, client_cert, client_key })
    }
}

impl GpgSettings {
    fn read(section: &mut Section<'_>) -> Option<GpgSettings> {
        let home = section.path("home");
        let key_id = section.required("keyid", "FINGERPRINT");
        let key_id = key_id.and_then(|key_id| section.parsed("keyid", &key_id, parse_key_id));
        let keyserver = section.text("keyserver").map(|found| found.value);
        let api_key = section.secret("useapikeyauth").map(|Located { value, .. }| value);
        Some(GpgSettings { home, key_id: key_id?, keyserver, api_key })
    }
}

const USER_IN_URL: &str =
    "url contains an @: remove the user name and password, which would be logged";

/// Checks only for typing mistakes; the HTTP client validates the URL.
fn parse_url(text: &str) -> Result<String, &'static str> {
    let scheme = text.get(..text.find("://").ok_or("write it with http:// or https://")?);
    if !scheme.is_some_and(|scheme| ["http", "https"].contains(&scheme.to_lowercase().as_str())) {
        return Err("only http:// and https:// are supported");
    }
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return Err("the host is missing");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it contains white space");
    }
    if text.contains(['?', '#']) {
        return Err("remove ? and #");
    }
    Ok(if text.ends_with('/') { text.to_owned() } else { format!("{text}/") })
}

/// Parses a fingerprint or the long id of a key. Short ids can be forged.
fn parse_key_id(text: &str) -> Result<String, &'static str> {
    let digits = text.strip_prefix("0x").unwrap_or(text).replace(' ', "").to_uppercase();
    let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hexadecimal && matches!(digits.len(), 16 | 40 | 64) {
        return Ok(digits);
    }
    Err("write the key's fingerprint, 40 hexadecimal digits, as `gpg --list-secret-keys` shows it")
}

fn parse_macro(text: &str) -> Result<TargetMacro, &'static str> {
    match text.split_once(':') {
        Some((name, target)) if !name.is_empty() && !target.is_empty() => {
            Ok(TargetMacro { name: name.to_owned(), target: target.to_owned() })
        }
        _ => Err("write name:target"),
    }
}

#[cfg(test)]
mod tests;
