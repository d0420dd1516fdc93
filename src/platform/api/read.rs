//! The requests for one thing: an action, a command, an agent, a key, the dashboard.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Datum, Item};
use super::{Answer, Api, ROOT, Refusal, Request};
use crate::action::{Action, Investigator};
use crate::data::{ActionRow, AgentRow, AgentStatus, CommandRow, Id};
use crate::platform::view;

/// How many actions the dashboard shows.
const RECENT_COUNT: i64 = 10;

/// How many agents have a version.
#[derive(Debug, Serialize)]
struct Version {
    version: String,
    count: usize,
}

impl Api {
    /// Tells that the API is there.
    pub(super) fn heartbeat(&self, request: &Request) -> Result<Answer, Refusal> {
        self.found(request, &[Item::new(request.path.clone(), "heartbeat", &"gatorz say hi")?])
    }

    /// Returns the key with a fingerprint.
    pub(super) fn public_key(&self, fingerprint: &str) -> Result<Answer, Refusal> {
        let investigator = self.store.investigator(fingerprint)?;
        let key = investigator.map(|found| found.publickey).filter(|key| !key.is_empty());
        Ok(match key {
            Some(key) => Answer::json(200, String::from_utf8_lossy(&key).into_owned()),
            None => Answer::json(
                404,
                format!("Invalid Fingerprint : No PublicKey found for fingerprint '{fingerprint}'"),
            ),
        })
    }

    pub(super) fn action(&self, request: &Request) -> Result<Answer, Refusal> {
        let (id, shown) = wanted(request, "Action", "actionid")?;
        let row = id.map(|id| self.store.action(id)).transpose()?.flatten();
        let row = row.ok_or_else(|| Refusal::new(404, format!("Action ID '{shown}' not found")))?;
        self.found(request, &[self.action_item(&row)?])
    }

    pub(super) fn command(&self, request: &Request) -> Result<Answer, Refusal> {
        let (id, shown) = wanted(request, "Command", "commandid")?;
        let row = id.map(|id| self.store.command(id)).transpose()?.flatten();
        let row =
            row.ok_or_else(|| Refusal::new(404, format!("Command ID '{shown}' not found")))?;
        let (action, agent) = self.parts(&row)?;
        let value = view::command_alone(&row, &action, &agent)?;
        let item = Item::new(self.link("command", row.id), "command", &value)?;
        self.found(request, &[item.linked("action", self.link("action", action.id))])
    }

    pub(super) fn agent(&self, request: &Request) -> Result<Answer, Refusal> {
        let (id, shown) = wanted(request, "Agent", "agentid")?;
        let row = id.map(|id| self.store.agent(id)).transpose()?.flatten();
        let row = row.ok_or_else(|| Refusal::new(404, format!("Agent ID '{shown}' not found")))?;
        // The original does not read this column here.
        let row = AgentRow { destructiontime: None, ..row };
        self.found(request, &[self.agent_item(&row)?])
    }

    /// Returns an investigator, with the key.
    pub(super) fn investigator(&self, request: &Request) -> Result<Answer, Refusal> {
        let (id, shown) = wanted(request, "Investigator", "investigatorid")?;
        let row = id.map(|id| self.store.investigator_of(id)).transpose()?.flatten();
        let row =
            row.ok_or_else(|| Refusal::new(404, format!("Investigator ID '{shown}' not found")))?;
        let investigator =
            Investigator { public_key: row.publickey.clone().into(), ..view::investigator(&row) };
        let item = self.investigator_item(row.id, &investigator)?;
        let history =
            format!("{}{ROOT}search?type=action&investigatorid={}&limit=100", self.base, row.id);
        self.found(request, &[item.linked("investigator history", history)])
    }

    /// Returns how many agents there are, and the last actions.
    pub(super) fn dashboard(&self, request: &Request) -> Result<Answer, Refusal> {
        let agents = self.store.live_agents()?;
        let of = |status: AgentStatus| {
            let agents = agents.iter().filter(move |agent| agent.status == status.as_str());
            agents.map(|agent| agent.version.clone()).collect::<Vec<String>>()
        };
        let (online, idle) = (of(AgentStatus::Online), of(AgentStatus::Idle));
        let mut data = vec![
            Datum::new("online agents", &online.len())?,
            Datum::new("online agents by version", &by_version(&online))?,
            Datum::new("online endpoints", &online.len())?,
            Datum::new("idle agents", &idle.len())?,
            Datum::new("idle agents by version", &by_version(&idle))?,
            Datum::new("idle endpoints", &idle.len())?,
        ];
        // What becomes of a fleet; one host is none, but others' agents may tell of themselves.
        for (name, count) in [
            ("new endpoints", 0),
            ("endpoints running 2 or more agents", 0),
            ("disappeared endpoints", self.store.disappeared_endpoints()?),
            ("flapping endpoints", 0),
        ] {
            data.push(Datum::new(name, &count)?);
        }
        let mut items = vec![Item::with(format!("{}{}", self.base, request.uri()), data)];
        for row in self.store.recent_actions(RECENT_COUNT)? {
            items.push(self.action_item(&row)?);
        }
        self.found(request, &items)
    }

    /// Returns the entry of an action.
    pub(super) fn action_item(&self, row: &ActionRow) -> Result<Item, Refusal> {
        let signers = self.store.signers(row.id)?;
        let action: Action = view::action(row, &signers, &self.store.command_counts(row.id)?);
        let value = RawValue::from_string(action.to_json())?;
        Ok(Item::new(self.link("action", row.id), "action", &value)?)
    }

    /// Returns the entry of an investigator.
    pub(super) fn investigator_item(
        &self,
        id: Id,
        investigator: &Investigator,
    ) -> Result<Item, Refusal> {
        let value = RawValue::from_string(investigator.to_json())?;
        Ok(Item::new(self.link("investigator", id), "investigator", &value)?)
    }

    /// Returns the entry of an agent.
    pub(super) fn agent_item(&self, row: &AgentRow) -> Result<Item, Refusal> {
        self.agent_entry(&view::agent(row)?)
    }

    /// Returns the entry of an agent that is shown already.
    pub(super) fn agent_entry(&self, agent: &view::Agent) -> Result<Item, Refusal> {
        Ok(Item::new(self.link("agent", agent.id()), "agent", agent)?)
    }

    /// Returns the action and the agent of a command.
    fn parts(&self, row: &CommandRow) -> Result<(ActionRow, AgentRow), Refusal> {
        let lost = || Refusal::new(500, format!("command {} has no action or no agent", row.id));
        let action = self.store.action(row.action)?.ok_or_else(lost)?;
        Ok((action, self.store.agent(row.agent)?.ok_or_else(lost)?))
    }

    /// Returns the entry of a command among others.
    pub(super) fn command_item(&self, row: &CommandRow) -> Result<Item, Refusal> {
        let (action, agent) = self.parts(row)?;
        let (signers, counters) =
            (self.store.signers(action.id)?, self.store.command_counts(action.id)?);
        let command = view::command(row, &action, &signers, &counters, &agent)?;
        Ok(Item::new(self.link("command", row.id), "command", &command)?)
    }
}

/// Returns the versions with how often each occurs, `None` if there is none.
fn by_version(versions: &[String]) -> Option<Vec<Version>> {
    let mut sorted = versions.to_vec();
    sorted.sort_unstable();
    let count =
        |group: &[String]| Some(Version { version: group.first()?.clone(), count: group.len() });
    let counted: Vec<Version> = sorted.chunk_by(|a, b| a == b).filter_map(count).collect();
    (!counted.is_empty()).then_some(counted)
}

/// Returns the id in a request, `None` if nothing can have it, and how messages show it.
///
/// An id is a number with a point to the platform, and is told without what follows it.
fn wanted(request: &Request, kind: &str, name: &str) -> Result<(Option<Id>, String), Refusal> {
    let parameters = request.parameters();
    let text = parameters
        .first(name)
        .ok_or_else(|| Refusal::new(500, "runtime error: index out of range [0] with length 0"))?;
    let number = float(text)
        .map_err(|error| Refusal::new(500, format!("Wrong parameters '{name}': '{error}'")))?;
    let shown = match number {
        number if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        number => format!("{number:.0}"),
    };
    // Not a number is not above zero either.
    if number.is_nan() || number <= 0.0 {
        return Err(Refusal::new(400, format!("Invalid {kind} ID '{shown}'")));
    }
    Ok((whole(number), shown))
}

/// Returns the id that a number is, if it is one.
pub(super) fn whole(number: f64) -> Option<Id> {
    // Only a whole number is written without a point.
    format!("{number}").parse().ok().map(Id::new)
}

/// Reads a number as Go does; the error is in its words.
pub(super) fn float(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
}
