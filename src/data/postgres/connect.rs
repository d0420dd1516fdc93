//! Opens a connection, with time limits and with TLS according to `sslmode`.

use std::time::Duration;

use native_tls::{Certificate, TlsConnector};
use postgres::config::SslMode as ClientSslMode;
use postgres::{Client, Config, NoTls};
use postgres_native_tls::MakeTlsConnector;

use super::error::PostgresError;
use crate::data::error::DataError;
use crate::data::server::{DatabaseServer, SslMode};

/// Time limit for connecting to one address.
const CONNECT_SPAN: Duration = Duration::from_secs(10);
/// Time after which a connection is closed if sent data is not acknowledged.
const SILENCE_SPAN: Duration = Duration::from_secs(60);
/// Idle time before a connection is probed, and the interval of the probes.
const PROBE_SPAN: Duration = Duration::from_secs(15);
const PROBES_MAX: u32 = 3;
/// The settings of every connection. A statement may run for a minute, wait ten seconds for a lock,
/// and leave a transaction idle for a minute, so that a hung client does not block other clients.
/// From a database without an encoding, text is requested as raw bytes: otherwise the server would
/// refuse to send any row with text that is not UTF-8.
const SETTINGS: &str = "
    set statement_timeout = '60s';
    set lock_timeout = '10s';
    set idle_in_transaction_session_timeout = '60s';
    set client_min_messages = 'warning';
    select set_config('client_encoding', 'SQL_ASCII', false) where current_setting('server_encoding') = 'SQL_ASCII'";

/// Connects to a server. `certificates`, in PEM, replace the system's authorities.
pub(super) fn connect(
    server: &DatabaseServer,
    certificates: Option<&[u8]>,
) -> Result<Client, DataError> {
    let fail = |source: PostgresError| DataError::Connect {
        server: server.to_string(),
        source: Box::new(source),
    };
    let config = config(server);
    let connected = match server.sslmode {
        SslMode::Disable => config.connect(NoTls),
        mode => {
            let tls = tls(mode, certificates);
            config.connect(tls.map_err(|error| fail(PostgresError::Certificates(error)))?)
        }
    };
    let mut client = connected.map_err(|error| fail(error.into()))?;
    client.batch_execute(SETTINGS).map_err(|error| fail(error.into()))?;
    Ok(client)
}

fn config(server: &DatabaseServer) -> Config {
    let mut config = Config::new();
    if server.is_socket() {
        config.host_path(&server.host);
    } else {
        config.host(&server.host);
    }
    config
        .port(server.port)
        .dbname(&server.dbname)
        .user(&server.user)
        .application_name(env!("CARGO_PKG_NAME"))
        .connect_timeout(CONNECT_SPAN)
        .tcp_user_timeout(SILENCE_SPAN)
        .keepalives_idle(PROBE_SPAN)
        .keepalives_interval(PROBE_SPAN)
        .keepalives_retries(PROBES_MAX)
        .ssl_mode(match server.sslmode {
            SslMode::Disable => ClientSslMode::Disable,
            // Never `prefer`: an attacker who can block TLS could force clear text.
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => ClientSslMode::Require,
        });
    if let Some(password) = &server.password {
        config.password(password.expose());
    }
    config
}

/// Returns a TLS connector with the checks that `mode` demands.
fn tls(mode: SslMode, certificates: Option<&[u8]>) -> native_tls::Result<MakeTlsConnector> {
    let mut builder = TlsConnector::builder();
    if let Some(pem) = certificates {
        builder.disable_built_in_roots(true);
        for certificate in Certificate::stack_from_pem(pem)? {
            builder.add_root_certificate(certificate);
        }
    }
    // With explicit authorities, `require` verifies the certificate too, as in every client.
    builder.danger_accept_invalid_certs(mode == SslMode::Require && certificates.is_none());
    builder.danger_accept_invalid_hostnames(mode != SslMode::VerifyFull);
    Ok(MakeTlsConnector::new(builder.build()?))
}
