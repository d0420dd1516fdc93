//! A relay by channels, between a scheduler and one agent in the same process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::{AgentMessage, AgentRelay, Command, CommandSender, Inbox, RelayClosed};

/// Returns the two ends of a relay to one agent: the scheduler's and the agent's. `queue` is the
/// agent's queue, and `inbox` receives what the agent sends.
pub(crate) fn in_process(
    queue: String,
    inbox: Arc<dyn Inbox>,
) -> (impl CommandSender + 'static, impl AgentRelay + 'static) {
    let (sender, receiver) = channel();
    let commands = CommandChannel { queue, sender };
    (commands, AgentChannel { commands: Mutex::new(receiver), inbox })
}

/// The scheduler's end. The agent's end is closed when this is dropped.
#[derive(Debug)]
struct CommandChannel {
    queue: String,
    sender: Sender<Command>,
}

impl CommandSender for CommandChannel {
    fn only_queue(&self) -> Option<&str> {
        Some(&self.queue)
    }

    fn send(&self, queue: &str, command: Command) -> Result<(), RelayClosed> {
        debug_assert_eq!(queue, self.queue, "the command is for another queue");
        self.sender.send(command).map_err(|_| RelayClosed)
    }
}

/// The agent's end.
#[derive(Debug)]
struct AgentChannel {
    commands: Mutex<Receiver<Command>>,
    inbox: Arc<dyn Inbox>,
}

impl AgentRelay for AgentChannel {
    fn next_command(&self) -> Option<Command> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }

    fn send(&self, message: AgentMessage) -> Result<(), RelayClosed> {
        self.inbox.deliver(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Answer, Outcome};

    #[derive(Debug)]
    struct Recorder(Sender<AgentMessage>);

    impl Inbox for Recorder {
        fn deliver(&self, message: AgentMessage) -> Result<(), RelayClosed> {
            self.0.send(message).map_err(|_| RelayClosed)
        }
    }

    #[test]
    fn commands_and_answers_pass_until_one_end_is_dropped() {
        let (sender, received) = channel();
        let (commands, agent) = in_process("linux.host".to_owned(), Arc::new(Recorder(sender)));
        assert!(commands.reaches("linux.host") && !commands.reaches("linux.other"));
        let command = Command { id: 8, action_id: 7, action: "{}".to_owned() };
        commands.send("linux.host", command.clone()).unwrap();
        drop(commands);
        assert_eq!(agent.next_command(), Some(command));
        assert_eq!(agent.next_command(), None);
        let (outcome, results) = (Outcome::Success, "[]".to_owned());
        let answer = AgentMessage::Answer(Answer { command_id: 8, action_id: 7, outcome, results });
        agent.send(answer.clone()).unwrap();
        assert_eq!(received.recv().unwrap(), answer);
        drop(received);
        assert_eq!(agent.send(answer), Err(RelayClosed));
    }
}
