//! Making a connection: time limits, and TLS as `sslmode` wants it.

use std::time::Duration;

use native_tls::{Certificate, TlsConnector};
use postgres::config::SslMode as Wanted;
use postgres::{Client, Config, NoTls};
use postgres_native_tls::MakeTlsConnector;

use super::super::server::{Server, SslMode};
use super::DataError;
use super::failure::Failure;

/// How long a server may take to answer the first call.
const CONNECT_SPAN: Duration = Duration::from_secs(10);
/// How long it may leave what we sent without acknowledgement.
const SILENCE_SPAN: Duration = Duration::from_secs(60);
/// How long a connection is silent before it is probed, and how often it is probed then.
const PROBE_SPAN: Duration = Duration::from_secs(15);
const PROBES_MAX: u32 = 3;
/// What every connection begins with. A statement may take a minute, wait ten seconds for what
/// somebody else holds, and leave a transaction open for a minute: a client that hangs blocks no other. A
/// database without an encoding would refuse every row with a text that is not UTF-8, were it not asked for
/// the bytes as they are.
const SETTINGS: &str = "
    set statement_timeout = '60s';
    set lock_timeout = '10s';
    set idle_in_transaction_session_timeout = '60s';
    set client_min_messages = 'warning';
    select set_config('client_encoding', 'SQL_ASCII', false) where current_setting('server_encoding') = 'SQL_ASCII'";

/// Connects to a server; `certificates`, in PEM, count instead of the system's.
pub(super) fn connect(server: &Server, certificates: Option<&[u8]>) -> Result<Client, DataError> {
    let fail = |source: Failure| DataError::Connect {
        server: server.to_string(),
        source: Box::new(source),
    };
    let config = config(server);
    let connected = match server.sslmode {
        SslMode::Disable => config.connect(NoTls),
        mode => config
            .connect(tls(mode, certificates).map_err(|error| fail(Failure::Certificates(error)))?),
    };
    let mut client = connected.map_err(|error| fail(error.into()))?;
    client.batch_execute(SETTINGS).map_err(|error| fail(error.into()))?;
    Ok(client)
}

fn config(server: &Server) -> Config {
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
            SslMode::Disable => Wanted::Disable,
            // Never `prefer`: who can cut the line could else have it in clear text.
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Wanted::Require,
        });
    if let Some(password) = &server.password {
        config.password(password.expose());
    }
    config
}

/// Returns TLS that checks what `mode` wants checked.
fn tls(mode: SslMode, certificates: Option<&[u8]>) -> native_tls::Result<MakeTlsConnector> {
    let mut builder = TlsConnector::builder();
    if let Some(pem) = certificates {
        builder.disable_built_in_roots(true);
        for certificate in Certificate::stack_from_pem(pem)? {
            builder.add_root_certificate(certificate);
        }
    }
    // Whose certificates count is said: then `require` checks them, as everywhere with PostgreSQL.
    builder.danger_accept_invalid_certs(mode == SslMode::Require && certificates.is_none());
    builder.danger_accept_invalid_hostnames(mode != SslMode::VerifyFull);
    Ok(MakeTlsConnector::new(builder.build()?))
}
