//! How the program ends when a command failed: the one place that says so.

use std::io;

use super::{Failure, shortage};
use crate::action::SignVerdict;
#[cfg(feature = "platform")]
use crate::cli::platform;
use crate::cli::template::TemplateError;
use crate::daemon::DaemonError;
use crate::disk::DiskError;
use crate::exit::Exit;
use crate::logging::LogError;
use crate::pgp::KeyError;
use crate::schedule::ScheduleError;
use crate::spool::SpoolError;

impl Failure {
    /// Returns how the program ends.
    pub(crate) fn exit(&self) -> Exit {
        match self.own_exit() {
            // Who holds a lock is told by an error that also stands for a shortage.
            Exit::Locked => Exit::Locked,
            own => shortage::exit(self).unwrap_or(own),
        }
    }

    /// Returns how the program ends if the system lacks nothing.
    fn own_exit(&self) -> Exit {
        match self {
            Failure::Unconfigured { .. }
            | Failure::Config(_)
            | Failure::NoHome
            | Failure::NoGnupgHome { .. }
            | Failure::NoDirectory { .. }
            | Failure::NotFolder { .. }
            | Failure::Api(_) => Exit::Config,
            Failure::ConfigFile(error) | Failure::ClientFile(error) => {
                unless_forbidden(error, Exit::Config)
            }
            // What GnuPG itself fails at may pass; the service manager should try again.
            Failure::Key(
                KeyError::Shortage { .. } | KeyError::Hung { .. } | KeyError::GnuPg { .. },
            ) => Exit::System,
            Failure::Key(KeyError::Configuration(fault)) if fault.is_transient() => Exit::System,
            Failure::Key(_) => Exit::Config,
            Failure::Distrusted { .. } | Failure::NotOwner { .. } | Failure::WrongUser { .. } => {
                Exit::Permission
            }
            Failure::JobsHeld { .. } => Exit::Locked,
            Failure::Spool(error)
            | Failure::Daemon(
                DaemonError::Spool { source: error } | DaemonError::Lost { source: error },
            ) => spool(error),
            Failure::Daemon(DaemonError::JobsHeld { .. }) => Exit::Locked,
            Failure::Daemon(DaemonError::Signals { .. }) | Failure::System { .. } => Exit::System,
            Failure::Schedule(ScheduleError::MachineZone { .. }) => Exit::System,
            Failure::Log(LogError::File { .. }) | Failure::Give { .. } => Exit::CannotCreate,
            Failure::Log(LogError::Local { .. }) | Failure::NoStandalone { .. } => {
                Exit::Unavailable
            }
            Failure::Init(error) => match error {
                TemplateError::Disk(error) => unless_forbidden(error, Exit::CannotCreate),
                TemplateError::Place { .. } => Exit::System,
                TemplateError::NotEmpty { .. }
                | TemplateError::NotFolder { .. }
                | TemplateError::Name { .. }
                | TemplateError::Permissions { .. } => Exit::CannotCreate,
            },
            Failure::Disk(error) => disk(error),
            Failure::Input(error) => unless_forbidden(error, Exit::NoInput),
            Failure::NoJob { .. } | Failure::NoSpool { .. } | Failure::NoResults { .. } => {
                Exit::NoInput
            }
            Failure::Schedule(_)
            | Failure::BadJob { .. }
            | Failure::Name(_)
            | Failure::Action { .. }
            | Failure::Document { .. } => Exit::Data,
            Failure::Sign(error) => match error.verdict() {
                SignVerdict::RetryLater => Exit::System,
                SignVerdict::KeyUnusable => Exit::Config,
            },
            Failure::Encode(_) => Exit::Software,
            Failure::Output(_) => Exit::Io,
            #[cfg(feature = "platform")]
            Failure::NoPlatform { .. } => Exit::Config,
            #[cfg(feature = "data")]
            Failure::Data(failure) => failure.exit(),
            #[cfg(feature = "platform")]
            Failure::Platform(error) => platform::exit(error),
            #[cfg(feature = "platform")]
            Failure::Module(_) => Exit::Data,
            #[cfg(feature = "platform")]
            Failure::Trial(error) => error.exit(),
            #[cfg(feature = "platform")]
            Failure::Explained { source, .. } => source.exit(),
        }
    }
}

/// Returns how a program ends that needed a file, unless it was not allowed to use it.
fn unless_forbidden(error: &DiskError, exit: Exit) -> Exit {
    if disk(error) == Exit::Permission { Exit::Permission } else { exit }
}

fn spool(error: &SpoolError) -> Exit {
    match error {
        SpoolError::Disk { source } => disk(source),
        SpoolError::Locked { .. } => Exit::Locked,
        SpoolError::NotASpool { .. }
        | SpoolError::Newer { .. }
        | SpoolError::Devices { .. }
        | SpoolError::Link { .. } => Exit::Config,
        SpoolError::Unsafe { .. } => Exit::Permission,
        SpoolError::Replaced { .. }
        | SpoolError::Gone { .. }
        | SpoolError::Taken { .. }
        | SpoolError::Crowded { .. } => Exit::Io,
        SpoolError::NoTransition { .. }
        | SpoolError::Encode { .. }
        | SpoolError::RetryReport { .. } => Exit::Software,
    }
}

/// Returns how a program ends whose disk failed.
pub(crate) fn disk(error: &DiskError) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::Permission,
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem => Exit::CannotCreate,
        _ => Exit::Io,
    }
}
