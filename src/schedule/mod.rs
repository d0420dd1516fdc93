//! When a job runs: cron expressions, time zones, and which slot is due.
//!
//! The language is that of the original, so that its jobs work unchanged. Two faults of the
//! original are fixed: an expression that can never fire is rejected instead of firing endlessly,
//! and a clock change, by law or by hand, never makes a slot fire twice or stops a job.
//!
//! | file | content |
//! | --- | --- |
//! | `field` | the syntax of one field: values, ranges, steps, lists |
//! | `parse` | whole expressions: macros, the number of fields, `L`, `W`, `#` |
//! | `wall` | a time on a wall clock, without a zone |
//! | `calendar` | minute, hour, day, month and weekday, matched by saffron |
//! | `cron` | the public type: an expression and its next time |
//! | `number_set` | a set of small numbers: seconds and years |
//! | `words` | an expression described in English |
//! | `zone` | conversion from wall clocks to instants: time zones, and the rule for clock changes |
//! | `splay` | a delay specific to each job and host |
//! | `due` | what to do about a job now |
//! | `table` | which job is due next |
//!
//! **Invariants.** Nothing here reads the clock or does I/O, except that time zones come from the
//! system's database. [`Cron::next_after`] is the only source of slots; its result is always later
//! than its argument. The work of every call is bounded, whatever the expression and however far
//! the clock jumps: no call iterates over slots one by one.
//!
//! **Failure.** A [`ScheduleError`] means that the job must be edited; retrying is useless.

mod calendar;
mod cron;
mod field;
mod number_set;
mod parse;
mod wall;
mod words;

pub(crate) mod due;
pub(crate) mod splay;
pub(crate) mod table;
pub(crate) mod zone;

#[cfg(test)]
mod tests;

pub(crate) use cron::Cron;

/// An invalid schedule or time zone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScheduleError {
    #[error("the schedule is {0} bytes long; at most {bytes_max} are allowed", bytes_max = parse::SCHEDULE_BYTES_MAX)]
    Long(usize),
    #[error(
        "the schedule has {0} fields; write 5 (minute hour day-of-month month day-of-week), \
         6 (and a year), 7 (second first, year last), or one of {macros}",
        macros = parse::MACRO_NAMES
    )]
    FieldCount(usize),
    #[error("unknown macro \"{0}\"; allowed are {macros}", macros = parse::MACRO_NAMES)]
    UnknownMacro(String),
    #[error("\"{rest}\" follows {name}, which is a whole schedule; remove it")]
    AfterMacro { name: &'static str, rest: String },
    #[error("{field}: \"{text}\" {fault}")]
    Field { field: &'static str, text: String, fault: FieldFault },
    /// saffron rejects the parsed expression; no text is known to cause this.
    #[error("cannot interpret the schedule, expanded to \"{0}\"; write it in another way")]
    Calendar(String),
    /// The schedule will never fire.
    #[error(
        "the schedule \"{text}\" never fires after {now}: its years have passed, \
         its days do not exist in its months, or the clock always skips its times"
    )]
    Never {
        text: String,
        /// The time at which the job was loaded.
        now: jiff::Timestamp,
    },
    #[error(
        "unknown time zone \"{name}\"; write an IANA name such as Europe/Paris, \
         and install the package tzdata if it is missing"
    )]
    UnknownZone { name: String, source: Option<jiff::Error> },
    /// The time zone of the machine is unknown.
    #[error(
        "cannot determine the time zone of this machine; set TZ or /etc/localtime, or `timezone` in the job"
    )]
    MachineZone { source: Option<jiff::Error> },
}

/// The fault of a part of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldFault {
    #[error("is invalid; allowed are {0}")]
    Invalid(&'static str),
    /// The field contains only commas.
    #[error("contains no value; allowed are {0}")]
    Empty(&'static str),
    #[error("is a reversed range; write two ranges with a comma between them")]
    Reversed,
    /// The step is zero or larger than the field's range.
    #[error("has a step outside 1 to {0}")]
    Step(u16),
}
