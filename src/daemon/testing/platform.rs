//! A platform in memory, which does with the next POST what a test says.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;

use crate::action::{Action, Signature};
use crate::api::{Api, ApiError, Dashboard, Found, Next, Page, Posted, Search, Seen};
use crate::clock::{after, before};
use crate::disk::model::Fuse;
use crate::names::ActionId;
use crate::pgp::testing::short::is_short;
use crate::wake::Stop;

/// What the platform does with the next POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes it, and says so.
    Accept,
    /// Takes it, and the answer is lost.
    Lose,
    /// Does not take it, and the connection breaks.
    Drop,
    Away,
    /// Refuses it for good.
    Refuse,
    /// Calls its period over.
    CallLate,
    /// Refuses the length of its signature's number.
    CallShort,
    /// Says nothing, and takes it when [`Platform::arrive`] is called.
    Late,
}

/// A platform in memory.
#[derive(Debug, Default)]
pub(crate) struct Platform {
    state: Mutex<State>,
    fuse: Arc<Fuse>,
    /// Names of the actions that were posted, and ids of those whose commands were asked for.
    asked: Mutex<Vec<String>>,
}

#[derive(Debug, Clone, Default)]
struct State {
    moods: VecDeque<Mood>,
    actions: Vec<(ActionId, String, Vec<Signature>)>,
    posts: usize,
    agents: u64,
    status: String,
    strange: bool,
    hidden: Vec<u64>,
    offsets: Vec<u64>,
    late: Vec<(String, Vec<Signature>)>,
    mute: bool,
    blind: bool,
    stop: Option<Stop>,
    held: u64,
    empty: usize,
    untold: bool,
    outage: Option<Outage>,
}

/// What does not serve, for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// The API: no question is answered.
    Api,
    /// Its database: every action is unknown, and a search fails.
    Database,
}

impl Platform {
    /// Returns the same platform as another one, whose steps `fuse` counts.
    pub(crate) fn fork(&self, fuse: Arc<Fuse>) -> Platform {
        let state = Mutex::new(self.state.lock().unwrap().clone());
        Platform { state, fuse, asked: Mutex::default() }
    }

    /// Feeds to `hasher` all that it knows.
    pub(crate) fn digest(&self, hasher: &mut impl Hasher) {
        format!("{:?}", self.state.lock().unwrap()).hash(hasher);
    }

    /// Takes the actions that were under way.
    pub(crate) fn arrive(&self) {
        let mut state = self.state.lock().unwrap();
        for (text, signatures) in std::mem::take(&mut state.late) {
            state.take(&text, &signatures);
        }
    }

    /// Sets whether it gives no results.
    pub(crate) fn mute(&self, mute: bool) {
        self.state.lock().unwrap().mute = mute;
    }

    /// Makes the next POST ask for a stop.
    pub(crate) fn stop_at_post(&self, stop: &Stop) {
        self.state.lock().unwrap().stop = Some(stop.clone());
    }

    /// Sets how many agents have not answered yet: their commands are still `sent`.
    pub(crate) fn hold(&self, agents: u64) {
        self.state.lock().unwrap().held = agents;
    }

    /// Makes the next pages empty, whatever the action has.
    pub(crate) fn empty(&self, pages: usize) {
        self.state.lock().unwrap().empty = pages;
    }

    /// Makes commands leave out how many there are.
    pub(crate) fn untold(&self) {
        self.state.lock().unwrap().untold = true;
    }

    /// Sets what does not serve.
    pub(crate) fn fail(&self, outage: Option<Outage>) {
        self.state.lock().unwrap().outage = outage;
    }

    /// Makes it find no action by its signatures.
    pub(crate) fn blind(&self) {
        self.state.lock().unwrap().blind = true;
    }

    /// Says what happens to the next POSTs; after them all are accepted.
    pub(crate) fn expect(&self, moods: &[Mood]) {
        self.state.lock().unwrap().moods.extend(moods);
    }

    /// Takes all POSTs from now on, whatever was to happen to them.
    pub(crate) fn recover(&self) {
        self.state.lock().unwrap().moods.clear();
    }

    /// Sets how many agents answer each action, and whether they have.
    pub(crate) fn answer(&self, agents: u64, completed: bool) {
        let mut state = self.state.lock().unwrap();
        state.agents = agents;
        state.status = if completed { "completed" } else { "inflight" }.to_owned();
    }

    /// Sets how the platform calls each action from now on.
    pub(crate) fn call(&self, status: &str) {
        self.state.lock().unwrap().status = status.to_owned();
    }

    /// Says whether the commands are those of another action.
    pub(crate) fn confuse(&self, strange: bool) {
        self.state.lock().unwrap().strange = strange;
    }

    /// Says for each of the next pages which agent's command it leaves out.
    pub(crate) fn hide(&self, agents: &[u64]) {
        self.state.lock().unwrap().hidden = agents.to_vec();
    }

    /// Returns the offsets of the pages that were asked for.
    pub(crate) fn offsets(&self) -> Vec<u64> {
        self.state.lock().unwrap().offsets.clone()
    }

    /// Returns what was asked of it: the names of the actions that were posted, and the ids of those
    /// whose commands were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns the names of the actions that the platform has.
    pub(crate) fn actions(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .actions
            .iter()
            .map(|(_, text, _)| Action::parse(text.as_bytes()).unwrap().name)
            .collect()
    }

    /// Returns the actions that the platform has, as they were posted.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.state.lock().unwrap().actions.iter().map(|(_, text, _)| text.clone()).collect()
    }

    /// Returns how often something was posted.
    pub(crate) fn posts(&self) -> usize {
        self.state.lock().unwrap().posts
    }
}

impl State {
    fn take(&mut self, text: &str, signatures: &[Signature]) {
        let id = ActionId(1000 + self.actions.len() as u64);
        self.actions.push((id, text.to_owned(), signatures.to_vec()));
    }
}

/// Returns whether a search by name and period returns this action.
fn lies_within(text: &str, search: &Search<'_>) -> bool {
    let action = Action::parse(text.as_bytes()).unwrap();
    let margin = Duration::from_secs(1);
    action.name == search.name
        && action.valid_from.timestamp() >= before(search.valid_from, margin)
        && action.expire_after.timestamp() <= after(search.expire_after, margin)
}

fn broken() -> ApiError {
    ApiError::FormTooLong { bytes: 0, limit: 0 }
}

impl Api for Platform {
    fn post(&self, action_json: &str, signatures: &[Signature]) -> Posted {
        if !self.fuse.exchange() {
            return Posted::Unknown { cause: broken() };
        }
        let name = Action::parse(action_json.as_bytes()).unwrap().name;
        self.asked.lock().unwrap().push(name);
        let mut state = self.state.lock().unwrap();
        state.posts += 1;
        if let Some(stop) = state.stop.take() {
            stop.ask();
        }
        let mut mood = state.moods.pop_front().unwrap_or(Mood::Accept);
        // As the original does, also where a test expects nothing of the kind.
        if mood == Mood::Accept && signatures.iter().any(|line| is_short(line.as_str())) {
            mood = Mood::CallShort;
        }
        if matches!(mood, Mood::Accept | Mood::Lose) {
            state.take(action_json, signatures);
        }
        if mood == Mood::Late {
            state.late.push((action_json.to_owned(), signatures.to_vec()));
        }
        if !self.fuse.exchange() {
            return Posted::Unknown { cause: broken() };
        }
        match mood {
            Mood::Accept => {
                let (id, text, _) = state.actions.last().unwrap();
                let action = RawValue::from_string(text.clone()).unwrap();
                Posted::Accepted { id: *id, action }
            }
            Mood::Lose | Mood::Drop | Mood::Late => Posted::Unknown { cause: broken() },
            Mood::Away => Posted::Refused { cause: broken(), next: Next::BackOffAll },
            Mood::Refuse => Posted::Refused { cause: broken(), next: Next::Invalid },
            Mood::CallLate => Posted::Refused { cause: broken(), next: Next::DateAnew },
            Mood::CallShort => Posted::Refused { cause: broken(), next: Next::SignAnew },
        }
    }

    fn find(&self, search: &Search<'_>) -> Result<Found, ApiError> {
        if !self.fuse.exchange() {
            return Err(broken());
        }
        let state = self.state.lock().unwrap();
        let found = state.actions.iter().find(|(id, text, signatures)| {
            !state.blind
                && lies_within(text, search)
                && !search.taken.contains(id)
                && signatures.iter().any(|s| search.signatures.contains(s))
        });
        Ok(match found {
            Some((id, text, _)) => {
                Found::Action { id: *id, action: RawValue::from_string(text.clone()).unwrap() }
            }
            None => Found::None,
        })
    }

    fn action(&self, id: ActionId) -> Result<Option<Seen>, ApiError> {
        if !self.fuse.exchange() {
            return Err(broken());
        }
        let state = self.state.lock().unwrap();
        if state.outage == Some(Outage::Api) {
            return Err(broken());
        }
        let is_there =
            state.outage.is_none() && state.actions.iter().any(|(other, ..)| *other == id);
        Ok(is_there.then(|| Seen { status: state.status.clone(), sent: state.agents }))
    }

    fn commands(
        &self,
        id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(&RawValue) -> std::io::Result<()>,
    ) -> Result<Page, ApiError> {
        if !self.fuse.exchange() {
            return Err(broken());
        }
        self.asked.lock().unwrap().push(id.to_string());
        let mut state = self.state.lock().unwrap();
        if state.mute || state.outage.is_some() {
            return Err(broken());
        }
        state.offsets.push(offset);
        if state.empty > 0 {
            state.empty -= 1;
            return Ok(Page { items: 0, sent: None });
        }
        let hidden = if state.hidden.is_empty() { None } else { Some(state.hidden.remove(0)) };
        let Some((_, text, _)) = state.actions.iter().find(|(other, ..)| *other == id) else {
            return Ok(Page { items: 0, sent: None });
        };
        let mut name = Action::parse(text.as_bytes()).unwrap().name;
        if state.strange {
            name = "another".to_owned();
        }
        let last = state.agents.min(offset + u64::from(limit));
        for agent in (offset..last).filter(|agent| Some(*agent) != hidden) {
            let (status, results) = if agent < state.held {
                ("sent", json!([]))
            } else {
                (
                    "success",
                    json!([{"foundanything": true, "success": true, "elements": {}, "errors": null}]),
                )
            };
            let counters = if state.untold { json!({}) } else { json!({"sent": state.agents}) };
            let command = json!({"id": 7000 + agent, "action": {"name": name, "counters": counters},
                "agent": {"name": format!("agent{agent}")}, "status": status, "results": results});
            sink(&RawValue::from_string(command.to_string()).unwrap()).map_err(|_| broken())?;
        }
        let items = last.saturating_sub(offset);
        Ok(Page { items, sent: Some(state.agents).filter(|_| items > 0 && !state.untold) })
    }

    fn dashboard(&self) -> Result<Dashboard, ApiError> {
        Ok(Dashboard { agents_online: Some(self.state.lock().unwrap().agents) })
    }

    fn skew(&self) -> Option<jiff::SignedDuration> {
        None
    }
}
