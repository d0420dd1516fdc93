//! Agents of other hosts: anyone can register them with heartbeats to the API, and the relay does not
//! reach them.

#![expect(clippy::disallowed_methods, reason = "a test creates a file of an earlier release")]

use jiff::SignedDuration;

use super::commands::empty_results;
use super::testing::{ACTION, Rig, action, agent, noon};
use super::*;
use crate::action::CommandStatus;
use crate::data::AgentRow;
use crate::data::testing::{DatabaseKind as Kind, on_each_database};

on_each_database!(
    command_to_another_host_is_a_row_that_expires,
    a_thousand_agents_of_other_hosts_cost_twenty_rows,
    action_for_other_hosts_only_is_sent_and_expires,
    waiting_action_is_not_evaluated_for_other_hosts_again,
    slow_agents_of_other_hosts_do_not_make_an_action_invalid,
    file_of_an_earlier_release_expires,
    silent_agent_of_another_host_is_removed_after_a_day,
    agent_that_cannot_be_removed_does_not_keep_others,
    oversized_agent_of_an_earlier_release_is_reported_once_and_removed
);

const HOUR: Id = Id::new(8);

/// Returns an action that is valid from noon for an hour.
fn hour(target: &str) -> ActionRow {
    let (validfrom, expireafter) =
        (noon() - SignedDuration::from_secs(1), noon() + SignedDuration::from_secs(3600));
    ActionRow { id: HOUR, validfrom, expireafter, ..action(target) }
}

/// Inserts agents of other hosts with these numbers and tags.
fn insert_others(rig: &Rig, numbers: std::ops::RangeInclusive<i64>, tags: &str) {
    let (first, last) = numbers.into_inner();
    rig.tables.run(&format!(
        "with recursive n(i) as (select {first} union all select i + 1 from n where i < {last})
         insert into agents (id, name, queueloc, mode, version, pid, starttime, heartbeattime,
                             refreshtime, status, environment, tags)
         select i, 'other', 'linux.' || i, mode, version, pid, starttime, heartbeattime,
                refreshtime, 'online', environment, '{tags}'
         from agents, n where id = {}",
        agent().id
    ));
}

/// Returns the number of commands of an action that are sent, successful and expired.
fn counts(rig: &Rig, action: Id) -> [i64; 3] {
    let counts = rig.store.command_counts(action).unwrap();
    [CommandStatus::Sent, CommandStatus::Success, CommandStatus::Expired]
        .map(|status| counts.of(status))
}

/// Returns the number of files of commands, in all folders.
fn command_files(rig: &Rig) -> usize {
    let folders = rig.path("command").read_dir().unwrap().map(|folder| folder.unwrap().path());
    folders.map(|folder| folder.read_dir().unwrap().count()).sum()
}

fn command_to_another_host_is_a_row_that_expires(kind: Kind) {
    let mut rig = Rig::new(kind);
    let other = AgentRow { id: Id::new(6), queueloc: "linux.other".to_owned(), ..agent() };
    rig.store.upsert_agent(&other).unwrap();
    rig.collect_after(0);
    let command = rig.commands.try_recv().unwrap();
    assert_eq!(rig.store.command(Id::new(command.id)).unwrap().unwrap().agent, agent().id);
    rig.answer(&command);
    rig.collect_after(1);
    assert!(rig.commands.try_recv().is_err(), "this host's agent got the other's command");
    rig.collect_after(61);
    assert_eq!(counts(&rig, ACTION), [0, 1, 1]);
}

fn a_thousand_agents_of_other_hosts_cost_twenty_rows(kind: Kind) {
    let mut rig = Rig::new(kind);
    insert_others(&rig, 1000..=1999, "{}");
    let logged = rig.log();
    rig.collect_after(0);
    let lines = logged.take();
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("too many agents")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("left out: 980"), "{lines:?}");
    assert_eq!((counts(&rig, ACTION), command_files(&rig)), ([21, 0, 0], 1));
    let command = rig.commands.try_recv().unwrap();
    rig.answer(&command);
    rig.collect_after(1);
    assert_eq!((counts(&rig, ACTION), command_files(&rig)), ([20, 1, 0], 1));
    rig = rig.restart();
    rig.collect_after(60);
    assert_eq!((counts(&rig, ACTION), command_files(&rig)), ([20, 1, 0], 1));
    assert_eq!(rig.used_folders(), ["action/inflight", "command/done"]);
    rig.collect_after(61);
    assert_eq!((counts(&rig, ACTION), command_files(&rig)), ([0, 1, 20], 1));
    assert_eq!(rig.status(), "completed");
    assert_eq!(rig.used_folders(), ["action/done", "command/done"]);
    let kept = std::fs::read_to_string(rig.path("action/done/7.json")).unwrap();
    assert!(kept.contains("\"success\":1") && kept.contains("\"expired\":20"), "{kept}");
    let commands = rig.store.commands_of(ACTION).unwrap();
    let results = empty_results(&action("").operations).unwrap();
    let end = Some(noon() + SignedDuration::from_secs(61));
    for command in commands.iter().filter(|command| command.status == "expired") {
        assert_eq!((&command.results, command.finishtime), (&results, end));
    }
}

fn action_for_other_hosts_only_is_sent_and_expires(kind: Kind) {
    let mut rig = Rig::new(kind);
    insert_others(&rig, 1000..=1001, "{}");
    rig.store.insert_action(&hour("name = 'other'"), &[]).unwrap();
    rig.store.invalidate_action(ACTION, noon()).unwrap();
    rig.collect_after(0);
    assert_eq!((counts(&rig, HOUR), command_files(&rig)), ([2, 0, 0], 0));
    rig.collect_after(3600);
    assert_eq!(counts(&rig, HOUR), [2, 0, 0]);
    rig.collect_after(3601);
    assert_eq!(counts(&rig, HOUR), [0, 0, 2]);
    assert_eq!(rig.used_folders(), ["action/done"]);
}

fn waiting_action_is_not_evaluated_for_other_hosts_again(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.store.upsert_agent(&AgentRow { status: "offline".to_owned(), ..agent() }).unwrap();
    rig.store.insert_action(&hour("status = 'online'"), &[]).unwrap();
    let status = |rig: &Rig| rig.store.action(HOUR).unwrap().unwrap().status;
    rig.collect_after(0);
    insert_others(&rig, 1000..=1001, "{}");
    rig = rig.restart();
    rig.collect_after(1);
    assert_eq!((status(&rig).as_str(), counts(&rig, HOUR)), ("preparing", [0; 3]));
    rig.store.upsert_agent(&agent()).unwrap();
    rig.collect_after(2);
    assert_eq!((status(&rig).as_str(), counts(&rig, HOUR)), ("inflight", [1, 0, 0]));
}

fn slow_agents_of_other_hosts_do_not_make_an_action_invalid(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.store.invalidate_action(ACTION, noon()).unwrap();
    // Each of them takes milliseconds, and together far more than the time for a target.
    insert_others(&rig, 1000..=1099, &format!("{{\"a\":\"{}\"}}", "a".repeat(65_000)));
    let slow = " OR tags->>'a' ILIKE '%a_b%'".repeat(70);
    rig.store.insert_action(&hour(&format!("name = 'host'{slow}")), &[]).unwrap();
    rig.collect_after(0);
    assert_eq!(counts(&rig, HOUR), [1, 0, 0]);
    assert_eq!(rig.commands.try_recv().unwrap().action_id, HOUR.number());
}

fn file_of_an_earlier_release_expires(kind: Kind) {
    let mut rig = Rig::new(kind);
    insert_others(&rig, 1000..=1000, "{}");
    rig.collect_after(0);
    let commands = rig.store.commands_of(ACTION).unwrap();
    let other = commands.into_iter().find(|command| command.agent == Id::new(1000)).unwrap();
    let name = EntryName::command(ACTION, other.id).to_string();
    std::fs::write(rig.path("command/ready").join(&name), "{}").unwrap();
    let command = rig.commands.try_recv().unwrap();
    rig.answer(&command);
    rig.collect_after(1);
    assert!(rig.path("command/inflight").join(&name).exists());
    assert!(rig.commands.try_recv().is_err(), "it is sent to this host's agent");
    rig.collect_after(61);
    assert_eq!((counts(&rig, ACTION), rig.status().as_str()), ([0, 1, 1], "completed"));
    assert!(rig.path("command/done").join(&name).exists());
    assert_eq!(rig.used_folders(), ["action/done", "command/done"]);
}

fn silent_agent_of_another_host_is_removed_after_a_day(kind: Kind) {
    const DAY: i64 = 86_400;
    let mut rig = Rig::new(kind);
    for (id, queue, second) in [(6, "linux.other", 0), (8, "linux.live", DAY)] {
        let (id, queueloc) = (Id::new(id), queue.to_owned());
        let heartbeattime = noon() + SignedDuration::from_secs(second);
        rig.store.upsert_agent(&AgentRow { id, queueloc, heartbeattime, ..agent() }).unwrap();
    }
    let agents = |rig: &Rig| -> Vec<i64> {
        rig.store.agents().map(|agent| agent.unwrap().id.number()).collect()
    };
    // Each agent gets a command, and only this host's agent answers.
    rig.collect_after(0);
    let command = rig.commands.try_recv().unwrap();
    rig.answer(&command);
    rig.collect_after(61);
    assert_eq!(rig.store.command_counts(ACTION).unwrap().all(), 3);
    rig.collect_after(DAY);
    assert_eq!(agents(&rig), [5, 6, 8]);
    rig.collect_after(DAY + 61);
    assert_eq!(agents(&rig), [5, 8]);
    assert_eq!(rig.store.command_counts(ACTION).unwrap().all(), 2);
    rig.collect_after(3 * DAY);
    assert_eq!(agents(&rig), [5]);
}

fn agent_that_cannot_be_removed_does_not_keep_others(kind: Kind) {
    const DAY: i64 = 86_400;
    let mut rig = Rig::new(kind);
    rig.store.invalidate_action(ACTION, noon()).unwrap();
    insert_others(&rig, 1000..=1004, "{}");
    let no_id = match kind {
        Kind::Postgres => "'NaN'",
        Kind::Sqlite => "'none'",
    };
    rig.tables.run(&format!("update agents set id = {no_id} where id = 1001;"));
    rig.tables.run(
        "create table holds (agent numeric references agents (id)); insert into holds values (1002);",
    );
    let logged = rig.log();
    for second in [DAY + 1, DAY + 62, DAY + 123] {
        rig.collect_after(second);
    }
    let agents = rig.store.agents().map(|agent| agent.unwrap().id.number());
    let mut agents: Vec<i64> = agents.collect();
    agents.sort_unstable();
    assert_eq!(agents, [0, 5, 1002]);
    let lines = logged.take();
    let of = |text: &str| -> Vec<&String> {
        lines.iter().filter(|line| line.starts_with(text)).collect()
    };
    assert_eq!(of("removed silent agents"), ["removed silent agents of other hosts, agents: 3"]);
    assert_eq!(of("cannot remove silent agents").len(), 1, "{lines:?}");
}

fn oversized_agent_of_an_earlier_release_is_reported_once_and_removed(kind: Kind) {
    let mut rig = Rig::new(kind);
    let big = AgentRow {
        id: Id::new(6),
        queueloc: "linux.other".to_owned(),
        environment: format!("{{\"os\":\"{}\"}}", "x".repeat(1 << 20)),
        ..agent()
    };
    rig.store.upsert_agent(&big).unwrap();
    let late = ActionRow {
        id: Id::new(8),
        expireafter: noon() + SignedDuration::from_hours(1),
        ..action("environment->>'os' LIKE 'x%'")
    };
    rig.store.insert_action(&late, &[]).unwrap();
    for second in 0..3 {
        rig.collect_after(second);
        assert_eq!(rig.scheduler.failures.len(), 1);
    }
    assert!(rig.store.commands_of(Id::new(8)).unwrap().is_empty(), "the condition is not met");
    // The other action selects the agent by its status.
    assert_eq!(rig.store.command_counts(ACTION).unwrap().all(), 2);
    rig.collect_after(61);
    rig.collect_after(90_000);
    assert_eq!(rig.store.agent(big.id).unwrap(), None);
    assert_eq!(rig.scheduler.failures.len(), 0, "a removed agent is forgotten");
}
