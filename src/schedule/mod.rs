//! When a job runs: cron expressions, time zones, and which slot is due.
//!
//! The language is that of the original runner, so that its jobs need no
//! change. What it got wrong is right here: an expression that can never fire
//! is refused instead of firing without end, and no change of the clock, by
//! law or by hand, makes a slot fire twice or a job fall silent.
//!
//! | file | holds |
//! | --- | --- |
//! | `field` | the syntax of one field: values, ranges, steps, lists |
//! | `parse` | the whole expression: macros, the number of fields, `L`, `W`, `#` |
//! | `wall` | a time on a wall clock, without a zone |
//! | `calendar` | minute, hour, day, month and weekday, matched by saffron |
//! | `cron` | the type that others hold: an expression and its next time |
//! | `words` | what an expression means, in English |
//! | `zone` | from wall clocks to instants: finding zones, and the rule for clock changes |
//! | `splay` | a delay of its own for each job and host |
//! | `due` | what is to be done about a job now |
//! | `table` | which job is next |
//!
//! **Invariants.** Nothing here reads the clock or does I/O, except that zones
//! come from the system's database. [`Cron::next_after`] is the only source of
//! slots; what it returns is later than what it was given, always. The work of
//! every call is bounded, whatever the expression and however far the clock
//! jumps: no call walks over slots one by one.
//!
//! **Failure.** A [`ScheduleError`] means that the job is wrong and must be
//! edited; trying again is of no use.

mod calendar;
mod cron;
mod field;
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

/// Why a schedule or its zone is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScheduleError {
    /// The text is longer than any sensible expression.
    #[error("the schedule is {0} bytes long; {bytes_max} are allowed", bytes_max = parse::SCHEDULE_BYTES_MAX)]
    Long(usize),
    /// The number of its fields has no meaning.
    #[error(
        "the schedule has {0} fields; write 5 (minute hour day-of-month month day-of-week), \
         6 (and a year), 7 (second first, year last), or one of {macros}",
        macros = parse::MACRO_NAMES
    )]
    FieldCount(usize),
    /// It begins with `@`, but is no macro.
    #[error("\"{0}\" is no macro; allowed are {macros}", macros = parse::MACRO_NAMES)]
    UnknownMacro(String),
    /// Something follows a macro, which is a whole schedule.
    #[error("\"{rest}\" stands after {name}, which is a whole schedule; remove it")]
    AfterMacro { name: &'static str, rest: String },
    /// A part of a field is refused.
    #[error("{field}: \"{text}\" {fault}")]
    Field {
        /// What the field is called.
        field: &'static str,
        text: String,
        /// What is wrong with it, and what is allowed.
        fault: Fault,
    },
    /// The calendar does not take what was parsed; no text is known to cause it.
    #[error("the schedule cannot be matched as \"{0}\"; write it in another way")]
    Calendar(String),
    /// It would never fire.
    #[error(
        "the schedule \"{text}\" has no time after {now}: its years have passed, \
         none of its months has its days, or the clock always skips its times"
    )]
    Never {
        text: String,
        /// The time at which it was loaded.
        now: jiff::Timestamp,
    },
    /// The zone is not in the system's database.
    #[error(
        "\"{name}\" is no time zone of this system; write an IANA name such as Europe/Paris, \
         and see that the package tzdata is installed"
    )]
    UnknownZone {
        name: String,
        /// What the database said.
        source: Option<jiff::Error>,
    },
    /// The machine does not tell its own zone.
    #[error(
        "cannot tell the time zone of this machine; set TZ or /etc/localtime, or `timezone` in the job"
    )]
    MachineZone { source: Option<jiff::Error> },
}

/// What is wrong with a part of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It has no meaning in this field.
    #[error("is not understood; allowed are {0}")]
    Unknown(&'static str),
    /// It is nothing but commas.
    #[error("holds no value; allowed are {0}")]
    Nothing(&'static str),
    /// Its range ends before it starts.
    #[error("is a reversed range; write two ranges with a comma between them")]
    Reversed,
    /// Its step is zero, or leads out of the field at once.
    #[error("has a step that is not from 1 to {0}")]
    Step(u16),
}
