//! What stood in the recorded platform's database when a request came.
//!
//! It was not recorded, but it shows in the answers: a thing is as an answer told it
//! last, or first if that was later and the thing was there already. What an answer tells
//! is so at its own moment. So the rows that a search must not find are there as well as
//! those that it must.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::Timestamp;
use serde_json::Value;

use super::ground::Ground;
use super::recording::{Exchange, Thing};
use super::rows::{self, bits, quoted, time};

/// The agent that nearly all recorded commands were sent to.
const AGENT: i64 = 28_052_712_325_126;
/// Where the ids begin of commands that were counted but never told.
const COUNTED_IDS: i64 = 1_000_000;

/// Something that was told of a thing.
#[derive(Debug)]
struct Told {
    time: Timestamp,
    exchange: usize,
    thing: Thing,
    /// Whether all was told: a command tells less of its action and its agent.
    is_whole: bool,
    /// When the thing began, if it had; what stands for "never" is long ago.
    begin: Timestamp,
    /// The action, if it is a command.
    action: i64,
    /// Its row; that of a command or an agent ends before its status.
    row: String,
}

impl Told {
    /// Tells whether the thing was there at a time before it was told of.
    fn had_begun(&self, now: Timestamp) -> bool {
        self.begin <= now && self.begin.as_second() > 0
    }

    /// Returns the row of a command or an agent with this status.
    fn with_status(&self, status: &str) -> String {
        format!("{}{});\n", self.row, quoted(status))
    }
}

/// All that the recordings tell.
#[derive(Debug, Default)]
pub(super) struct World {
    actions: BTreeMap<i64, Vec<Told>>,
    commands: BTreeMap<i64, Vec<Told>>,
    agents: BTreeMap<i64, Vec<Told>>,
    investigators: BTreeMap<i64, Vec<Told>>,
}

impl World {
    /// Returns what these exchanges tell.
    pub(super) fn of(exchanges: &[Exchange]) -> World {
        let mut world = World::default();
        for (place, exchange) in exchanges.iter().enumerate() {
            for (name, value) in exchange.values() {
                let thing = || Thing::read(value.get());
                match name.as_str() {
                    "command" => world.hear_command(place, exchange.time, thing()),
                    "agent" => {
                        let (thing, agents) = (thing(), &mut world.agents);
                        let row = rows::agent(&thing, true);
                        hear(agents, place, exchange.time, thing, true, row);
                    }
                    "action" => world.hear_action(place, exchange.time, thing(), true),
                    name if name.starts_with("action ID") => {
                        world.hear_action(place, exchange.time, thing(), true);
                    }
                    _ => {}
                }
            }
        }
        world
    }

    fn hear_action(&mut self, place: usize, time: Timestamp, thing: Thing, is_whole: bool) {
        for investigator in thing.things("investigators") {
            hear(&mut self.investigators, place, time, investigator, true, String::new());
        }
        let row = rows::action(&thing, is_whole);
        hear(&mut self.actions, place, time, thing, is_whole, row);
    }

    fn hear_command(&mut self, place: usize, time: Timestamp, thing: Thing) {
        self.hear_action(place, time, thing.thing("action"), false);
        let agent = thing.thing("agent");
        let row = rows::agent(&agent, false);
        hear(&mut self.agents, place, time, agent, false, row);
        let row = rows::command(&thing);
        hear(&mut self.commands, place, time, thing, true, row);
    }

    /// Returns the fingerprint of an investigator.
    pub(super) fn fingerprint(&self, investigator: i64) -> String {
        self.investigators[&investigator][0].thing.text("pgpfingerprint")
    }

    /// Puts the rows of the moment of an exchange into the database, instead of all others.
    pub(super) fn seed(&self, place: usize, exchange: &Exchange, ground: &mut Ground) {
        let moment = Moment { place, exchange, world: self };
        let mut sql = String::from("begin;\n");
        for table in ["signatures", "commands", "actions", "agents"] {
            writeln!(sql, "delete from {table};").unwrap();
        }
        let (actions, commands) = (moment.actions(), moment.commands());
        moment.write_agents(&commands, &mut sql);
        sql.extend(actions.values().map(|told| told.row.as_str()));
        for (command, status) in &commands {
            sql.push_str(&command.with_status(status));
        }
        moment.write_counted(&actions, &commands, &mut sql);
        sql.push_str("commit;\n");
        ground.run(&sql);
    }

    /// Puts the investigators into the database; `keys` are the key of each.
    pub(super) fn seed_investigators(
        &self,
        keys: &BTreeMap<i64, (String, Vec<u8>)>,
        ground: &mut Ground,
    ) {
        for (id, told) in &self.investigators {
            let thing = &told[0].thing;
            let (fingerprint, key) = &keys[id];
            let key = ground.bytes(key);
            ground.run(&format!(
                "insert into investigators (id, name, pgpfingerprint, publickey, status, createdat, \
                 lastmodified, permissions) values ({id}, {}, {}, {key}, {}, {}, {}, {});",
                quoted(&thing.text("name")),
                quoted(fingerprint),
                quoted(&thing.text("status")),
                time(thing.time("createdat")),
                time(thing.time("lastmodified")),
                bits(&thing.value("permissions")),
            ));
        }
    }
}

fn hear(
    all: &mut BTreeMap<i64, Vec<Told>>,
    exchange: usize,
    time: Timestamp,
    thing: Thing,
    is_whole: bool,
    row: String,
) {
    let begin = if thing.has("starttime") { thing.time("starttime") } else { Timestamp::MIN };
    let action = if thing.has("action") { thing.thing("action").id() } else { 0 };
    let told = Told { time, exchange, is_whole, begin, action, row, thing };
    all.entry(told.thing.id()).or_default().push(told);
}

/// The world when a request came.
struct Moment<'a> {
    place: usize,
    exchange: &'a Exchange,
    world: &'a World,
}

impl Moment<'_> {
    /// Returns what counts of all that was told of a thing, if it was there.
    fn last<'a>(&self, told: &'a [Told]) -> Option<&'a Told> {
        let now = self.exchange.time;
        let of_whole = |is_whole: bool| {
            let told = || told.iter().filter(move |told| told.is_whole == is_whole);
            let own = told().rfind(|told| told.exchange == self.place);
            own.or_else(|| told().rfind(|told| told.time < now))
                .or_else(|| told().find(|told| told.had_begun(now)))
        };
        // Its own action comes first, however little it tells.
        let is_own = |told: &&Told| told.exchange == self.place;
        of_whole(true).or_else(|| of_whole(false)).or_else(|| told.iter().find(is_own))
    }

    fn actions(&self) -> BTreeMap<i64, &Told> {
        let mut actions = BTreeMap::new();
        for (id, told) in &self.world.actions {
            if let Some(told) = self.last(told) {
                actions.insert(*id, told);
            }
        }
        actions
    }

    /// Returns how many commands of which status the answer counts of an action, if it tells.
    fn counters(&self, action: i64) -> Option<Vec<String>> {
        let told = self.world.actions.get(&action)?;
        let told = told.iter().find(|told| told.exchange == self.place)?;
        let counters = told.thing.value("counters");
        let mut statuses = Vec::new();
        for (name, status) in [
            ("inflight", "sent"),
            ("success", "success"),
            ("cancelled", "cancelled"),
            ("expired", "expired"),
            ("failed", "failed"),
            ("timeout", "timeout"),
        ] {
            let count = counters[name].as_u64().unwrap_or_default();
            statuses.extend((0..count).map(|_| status.to_owned()));
        }
        Some(statuses)
    }

    /// Returns the commands that were there, each with its status at the moment.
    fn commands(&self) -> Vec<(&Told, String)> {
        let told = self.world.commands.values().filter_map(|told| self.last(told));
        let (own, others): (Vec<&Told>, Vec<&Told>) =
            told.partition(|told| told.exchange == self.place);
        let mut left: BTreeMap<i64, Option<Vec<String>>> = BTreeMap::new();
        let mut commands = Vec::new();
        let statuses =
            own.iter().map(|told| (told, true)).chain(others.iter().map(|told| (told, false)));
        for (told, is_own) in statuses {
            let (action, mut status) = (told.action, told.thing.text("status"));
            if let Some(left) = left.entry(action).or_insert_with(|| self.counters(action)) {
                match left.iter().position(|one| *one == status) {
                    Some(place) => drop(left.remove(place)),
                    None if is_own => panic!("{} does not count itself", told.thing.id()),
                    None => match left.pop() {
                        Some(other) => status = other,
                        None => continue,
                    },
                }
            }
            commands.push((*told, status));
        }
        commands
    }

    /// Writes the commands that an answer counts and that none ever told of.
    fn write_counted(
        &self,
        actions: &BTreeMap<i64, &Told>,
        commands: &[(&Told, String)],
        sql: &mut String,
    ) {
        let mut id = COUNTED_IDS;
        for (action, told) in actions {
            let Some(mut counted) = self.counters(*action) else { continue };
            for (_, status) in commands.iter().filter(|(command, _)| command.action == *action) {
                let place = counted.iter().position(|one| one == status).unwrap();
                counted.remove(place);
            }
            for status in counted {
                id += 1;
                writeln!(
                    sql,
                    "insert into commands values ({id}, {action}, {AGENT}, {}, '[]', {at}, {at});",
                    quoted(&status),
                    at = time(told.thing.time("validfrom"))
                )
                .unwrap();
            }
        }
    }

    /// Writes the agents; what a dashboard counts is made so.
    fn write_agents(&self, commands: &[(&Told, String)], sql: &mut String) {
        let mut live = self.counted_agents();
        let mut wanted: BTreeSet<i64> = BTreeSet::from([AGENT]);
        wanted.extend(commands.iter().map(|(command, _)| command.thing.thing("agent").id()));
        for (id, told) in &self.world.agents {
            let told = match self.last(told) {
                Some(told) => told,
                None if live.is_some() || wanted.contains(id) => &told[0],
                None => continue,
            };
            let version = told.thing.text("version");
            let status = match &mut live {
                Some(live) => match live.iter().position(|(one, _)| *one == version) {
                    Some(place) => live.remove(place).1,
                    None => "offline".to_owned(),
                },
                // It is not told how the agents of commands were.
                None if !told.is_whole => "offline".to_owned(),
                None => told.thing.text("status"),
            };
            sql.push_str(&told.with_status(&status));
        }
        assert!(live.is_none_or(|live| live.is_empty()), "{} counts others", self.exchange.label);
    }

    /// Returns version and status of each agent that the answer counts, if it counts any.
    fn counted_agents(&self) -> Option<Vec<(String, String)>> {
        let mut agents = Vec::new();
        let mut has_counted = false;
        for (name, value) in self.exchange.values() {
            let Some(status) = name.strip_suffix(" agents by version") else { continue };
            has_counted = true;
            let versions: Option<Vec<Value>> = serde_json::from_str(value.get()).unwrap();
            for version in versions.unwrap_or_default() {
                for _ in 0..version["count"].as_u64().unwrap() {
                    agents
                        .push((version["version"].as_str().unwrap().to_owned(), status.to_owned()));
                }
            }
        }
        has_counted.then_some(agents)
    }
}
