//! The relay between the scheduler and its agents: commands go out, heartbeats and answers come in.
//!
//! The platform and the agents know only this interface, not each other. The messages carry the
//! same content as those of the original, which sends them through a message broker: a command
//! names its action, an answer repeats the number of its command, a heartbeat describes the agent.
//! The only transport so far is [`in_process()`], to the agent of the one-host platform.
//!
//! ```text
//! scheduler ──CommandSender──▶ transport ──AgentRelay──▶ agent
//! scheduler ◀────Inbox──────── transport ◀─AgentRelay─── agent
//! ```
//!
//! **Invariants.** A message consists of text, numbers and times, so that a transport can serialize
//! it. Sender and receiver share no memory through it.
//!
//! **Failure.** A transport may lose messages. The scheduler sends a command again after a restart
//! unless it has been answered, and a command without an answer expires with its action. The agent
//! repeats its heartbeat after a fixed period.

mod budget;
mod in_process;
mod verify;

use std::fmt::Debug;

use jiff::Timestamp;

pub(crate) use budget::{ACTION_BYTES_MAX, OPERATIONS_MAX, RESULTS_BYTES_MAX, sent_bytes};
pub(crate) use in_process::in_process;
pub(crate) use verify::{ActionVerifier, VerificationError};

/// An order to an agent to run the operations of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// The platform's number of the command, which the answer repeats.
    pub(crate) id: i64,
    /// The platform's number of the action, which the answer repeats.
    pub(crate) action_id: i64,
    /// The signed action, as JSON.
    pub(crate) action: String,
}

/// An agent's answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) command_id: i64,
    pub(crate) action_id: i64,
    pub(crate) outcome: Outcome,
    /// One result for each operation, as a JSON list of at most [`RESULTS_BYTES_MAX`].
    pub(crate) results: String,
}

/// How an agent's run of a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Each module returned a result, whatever the result says.
    Success,
    /// The command was refused, or an operation has no result.
    Failed,
    /// An operation reached its time limit.
    Timeout,
}

/// An agent's description of itself, sent at its start and then periodically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// The host's name.
    pub(crate) name: String,
    /// The queue from which the agent takes its commands.
    pub(crate) queue: String,
    /// `daemon` for an agent that runs permanently.
    pub(crate) mode: String,
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// When the agent started.
    pub(crate) started: Timestamp,
    pub(crate) sent: Timestamp,
    /// When the agent last determined its environment.
    pub(crate) refreshed: Timestamp,
    /// The properties of the host, as a JSON object.
    pub(crate) environment: String,
    /// The tags, as a JSON object with a text for each name.
    pub(crate) tags: String,
}

/// A message from an agent to the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AgentMessage {
    Heartbeat(Heartbeat),
    Answer(Answer),
}

/// The other end of the relay has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the relay has stopped")]
pub(crate) struct RelayClosed;

/// The scheduler's interface for sending commands.
pub(crate) trait CommandSender: Debug + Send {
    /// Returns the only queue that this transport reaches; `None` if it reaches all.
    fn only_queue(&self) -> Option<&str>;

    /// Returns whether this transport reaches the agent with this queue.
    fn reaches(&self, queue: &str) -> bool {
        self.only_queue().is_none_or(|only| only == queue)
    }

    /// Sends a command to the agent with this queue.
    fn send(&self, queue: &str, command: Command) -> Result<(), RelayClosed>;
}

/// The scheduler's inbox, to which a transport delivers the messages of all agents.
pub(crate) trait Inbox: Debug + Send + Sync {
    /// Wakes the scheduler with a message.
    fn deliver(&self, message: AgentMessage) -> Result<(), RelayClosed>;
}

/// An agent's end of the relay.
pub(crate) trait AgentRelay: Debug + Send + Sync {
    /// Waits for the next command; returns `None` when the scheduler has stopped. Several threads
    /// may wait at the same time; each command goes to one of them.
    fn next_command(&self) -> Option<Command>;

    fn send(&self, message: AgentMessage) -> Result<(), RelayClosed>;
}
