//! The requests for a single resource: an action, a command, an agent, a key, the dashboard.

use serde::Serialize;
use serde_json::value::RawValue;

use super::page::PageItems;
use super::response::{Datum, Item};
use super::{Api, ApiRequest, ApiResponse, ROOT, Refusal};
use crate::action::{Action, Investigator};
use crate::data::{ActionRow, AgentCount, AgentRow, AgentStatus, CommandRow, Id};
use crate::platform::view;

/// Number of actions on the dashboard.
const RECENT_COUNT: i64 = 10;

/// The number of agents with a version.
#[derive(Debug, Serialize)]
struct VersionCount {
    version: String,
    count: i64,
}

impl Api {
    /// Confirms that the API is available.
    pub(super) fn get_heartbeat(&self, request: &ApiRequest) -> Result<ApiResponse, Refusal> {
        self.found(request, &[Item::new(request.path.clone(), "heartbeat", &"gatorz say hi")?])
    }

    /// Returns the public key with a fingerprint.
    pub(super) fn public_key(&self, fingerprint: &str) -> Result<ApiResponse, Refusal> {
        let investigator = self.store.investigator(fingerprint)?;
        let key = investigator.map(|found| found.publickey).filter(|key| !key.is_empty());
        Ok(match key {
            Some(key) => ApiResponse::json(200, String::from_utf8_lossy(&key).into_owned()),
            None => ApiResponse::json(
                404,
                format!("Invalid Fingerprint : No PublicKey found for fingerprint '{fingerprint}'"),
            ),
        })
    }

    pub(super) fn action(&self, request: &ApiRequest) -> Result<ApiResponse, Refusal> {
        let (id, shown) = requested_id(request, "Action", "actionid")?;
        let row = id.map(|id| self.store.action(id)).transpose()?.flatten();
        let row = row.ok_or_else(|| Refusal::new(404, format!("Action ID '{shown}' not found")))?;
        self.found(request, &[self.action_item(&row)?])
    }

    pub(super) fn command(&self, request: &ApiRequest) -> Result<ApiResponse, Refusal> {
        let (id, shown) = requested_id(request, "Command", "commandid")?;
        let row = id.map(|id| self.store.command(id)).transpose()?.flatten();
        let row =
            row.ok_or_else(|| Refusal::new(404, format!("Command ID '{shown}' not found")))?;
        let (action, agent) = self.action_and_agent(&row)?;
        let value = view::command_alone(&row, &action, &agent)?;
        let item = Item::new(self.link("command", row.id), "command", &value)?;
        self.found(request, &[item.linked("action", self.link("action", action.id))])
    }

    pub(super) fn agent(&self, request: &ApiRequest) -> Result<ApiResponse, Refusal> {
        let (id, shown) = requested_id(request, "Agent", "agentid")?;
        let row = id.map(|id| self.store.agent(id)).transpose()?.flatten();
        let row = row.ok_or_else(|| Refusal::new(404, format!("Agent ID '{shown}' not found")))?;
        // The original does not read this column for this request.
        let row = AgentRow { destructiontime: None, ..row };
        self.found(request, &[self.agent_item(&row)?])
    }

    /// Returns an investigator with the public key.
    pub(super) fn investigator(&self, request: &ApiRequest) -> Result<ApiResponse, Refusal> {
        let (id, shown) = requested_id(request, "Investigator", "investigatorid")?;
        let row = id.map(|id| self.store.investigator_by_id(id)).transpose()?.flatten();
        let row =
            row.ok_or_else(|| Refusal::new(404, format!("Investigator ID '{shown}' not found")))?;
        let investigator =
            Investigator { public_key: row.publickey.clone().into(), ..view::investigator(&row) };
        let item = self.investigator_item(row.id, &investigator)?;
        let history =
            format!("{}{ROOT}search?type=action&investigatorid={}&limit=100", self.base, row.id);
        self.found(request, &[item.linked("investigator history", history)])
    }

    /// Returns the numbers of agents and the latest actions.
    pub(super) fn dashboard(&self, request: &ApiRequest) -> Result<ApiResponse, Refusal> {
        let counts = self.store.live_agent_versions()?;
        let of = |status: AgentStatus| -> Vec<&AgentCount> {
            counts.iter().filter(|count| count.status == status.as_str()).collect()
        };
        let (online, idle) = (of(AgentStatus::Online), of(AgentStatus::Idle));
        let mut data = vec![
            Datum::new("online agents", &total(&online))?,
            Datum::new("online agents by version", &by_version(&online))?,
            Datum::new("online endpoints", &total(&online))?,
            Datum::new("idle agents", &total(&idle))?,
            Datum::new("idle agents by version", &by_version(&idle))?,
            Datum::new("idle endpoints", &total(&idle))?,
        ];
        // Statistics of a fleet. One host is not a fleet, but other agents may send heartbeats to
        // the API.
        for (name, count) in [
            ("new endpoints", 0),
            ("endpoints running 2 or more agents", 0),
            ("disappeared endpoints", self.store.disappeared_endpoints()?),
            ("flapping endpoints", 0),
        ] {
            data.push(Datum::new(name, &count)?);
        }
        let mut items = vec![Item::with(format!("{}{}", self.base, request.uri()), data)];
        let recent = self.store.recent_actions(RECENT_COUNT)?;
        let recent = PageItems::of(recent.into_iter().map(|row| self.action_item(&row)))?;
        items.extend(recent.into_items());
        self.found(request, &items)
    }

    /// Returns the item of an action.
    pub(super) fn action_item(&self, row: &ActionRow) -> Result<Item, Refusal> {
        let signers = self.store.signers(row.id)?;
        let action: Action = view::action(row, &signers, &self.store.command_counts(row.id)?);
        let value = RawValue::from_string(action.to_json())?;
        Ok(Item::new(self.link("action", row.id), "action", &value)?)
    }

    pub(super) fn investigator_item(
        &self,
        id: Id,
        investigator: &Investigator,
    ) -> Result<Item, Refusal> {
        let value = RawValue::from_string(investigator.to_json())?;
        Ok(Item::new(self.link("investigator", id), "investigator", &value)?)
    }

    pub(super) fn agent_item(&self, row: &AgentRow) -> Result<Item, Refusal> {
        self.agent_view_item(&view::agent(row)?)
    }

    pub(super) fn agent_view_item(&self, agent: &view::AgentView) -> Result<Item, Refusal> {
        Ok(Item::new(self.link("agent", agent.id()), "agent", agent)?)
    }

    fn action_and_agent(&self, row: &CommandRow) -> Result<(ActionRow, AgentRow), Refusal> {
        let lost = || Refusal::new(500, format!("command {} has no action or no agent", row.id));
        let action = self.store.action(row.action)?.ok_or_else(lost)?;
        Ok((action, self.store.agent(row.agent)?.ok_or_else(lost)?))
    }

    /// Returns the item of a command in the result of a search.
    pub(super) fn command_item(&self, row: &CommandRow) -> Result<Item, Refusal> {
        let (action, agent) = self.action_and_agent(row)?;
        let (signers, counters) =
            (self.store.signers(action.id)?, self.store.command_counts(action.id)?);
        let command = view::command(row, &action, &signers, &counters, &agent)?;
        Ok(Item::new(self.link("command", row.id), "command", &command)?)
    }
}

fn total(counts: &[&AgentCount]) -> i64 {
    counts.iter().map(|count| count.count).sum()
}

/// Returns the number of agents of each version; `None` for an empty list.
fn by_version(counts: &[&AgentCount]) -> Option<Vec<VersionCount>> {
    let count = |of: &&AgentCount| VersionCount { version: of.version.clone(), count: of.count };
    (!counts.is_empty()).then(|| counts.iter().map(count).collect())
}

/// Returns the id in a request, and its form in error messages. The id is `None` for a number that
/// cannot be an id.
///
/// The original parses an id as a floating-point number and shows it without its fraction.
fn requested_id(
    request: &ApiRequest,
    kind: &str,
    name: &str,
) -> Result<(Option<Id>, String), Refusal> {
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
    if number.is_nan() || number <= 0.0 {
        return Err(Refusal::new(400, format!("Invalid {kind} ID '{shown}'")));
    }
    Ok((whole(number), shown))
}

/// Returns a number as an id, if it is a whole number.
pub(super) fn whole(number: f64) -> Option<Id> {
    // Only a whole number is formatted without a point.
    format!("{number}").parse().ok().map(Id::new)
}

/// Parses a number; the error text is Go's.
pub(super) fn float(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
}
