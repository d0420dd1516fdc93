//! A simulated platform in memory, whose replies a test controls.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;

use crate::action::{Action, CommandText, Signature};
use crate::api::{ActionState, Api, ApiError, Dashboard, Found, Next, Page, Posted, Search};
use crate::clock::{after, before};
use crate::disk::model::FaultInjector;
use crate::names::ActionId;
use crate::pgp::testing::short::is_short;
use crate::wake::Stop;

/// How the platform replies to a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostReply {
    Accept,
    /// Accepts the action; the answer is lost.
    LoseAnswer,
    /// Breaks the connection without accepting the action.
    DropConnection,
    /// The API is unavailable.
    Unavailable,
    /// Rejects the action permanently.
    Reject,
    /// Rejects the action because its validity period has passed.
    RejectAsExpired,
    /// Rejects the length of a number in the signature.
    RejectSignatureLength,
    /// Does not answer, and accepts the action when [`Platform::accept_late_posts`] is called.
    AcceptLater,
}

/// A simulated platform.
#[derive(Debug, Default)]
pub(crate) struct Platform {
    state: Mutex<State>,
    faults: Arc<FaultInjector>,
    /// The names of posted actions, and the ids of actions whose commands were requested.
    requests: Mutex<Vec<String>>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// The replies to the next POSTs.
    replies: VecDeque<PostReply>,
    actions: Vec<(ActionId, String, Vec<Signature>)>,
    posts: usize,
    agents: u64,
    status: String,
    returns_wrong_action: bool,
    /// For each of the next pages, the agent whose command is left out.
    hidden: Vec<u64>,
    offsets: Vec<u64>,
    /// Number of answered queries for the status of an action.
    status_queries: usize,
    late: Vec<(String, Vec<Signature>)>,
    fails_fetches: bool,
    finds_nothing: bool,
    stop: Option<Stop>,
    /// Number of agents that have not answered.
    unanswered: u64,
    /// Number of pages that are returned empty.
    empty_pages: usize,
    omits_counters: bool,
    outage: Option<Outage>,
}

/// A part of the platform that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// The API: it answers no request.
    Api,
    /// The database: every action is unknown, and requests for commands fail.
    Database,
}

impl Platform {
    /// Returns a copy of the platform, whose requests `faults` counts.
    pub(crate) fn copy(&self, faults: Arc<FaultInjector>) -> Platform {
        let state = Mutex::new(self.state.lock().unwrap().clone());
        Platform { state, faults, requests: Mutex::default() }
    }

    /// Feeds the state of the platform to `hasher`.
    pub(crate) fn digest(&self, hasher: &mut impl Hasher) {
        format!("{:?}", self.state.lock().unwrap()).hash(hasher);
    }

    /// Accepts the actions that were posted with [`PostReply::AcceptLater`].
    pub(crate) fn accept_late_posts(&self) {
        let mut state = self.state.lock().unwrap();
        for (text, signatures) in std::mem::take(&mut state.late) {
            state.accept(&text, &signatures);
        }
    }

    /// Sets whether requests for commands fail.
    pub(crate) fn fail_fetches(&self, fail: bool) {
        self.state.lock().unwrap().fails_fetches = fail;
    }

    /// Requests a stop of the runner at the next POST.
    pub(crate) fn stop_at_post(&self, stop: &Stop) {
        self.state.lock().unwrap().stop = Some(stop.clone());
    }

    /// Sets the number of agents that have not answered yet: their commands are still `sent`.
    pub(crate) fn set_unanswered(&self, agents: u64) {
        self.state.lock().unwrap().unanswered = agents;
    }

    /// Makes the next pages empty, whatever commands the action has.
    pub(crate) fn return_empty_pages(&self, pages: usize) {
        self.state.lock().unwrap().empty_pages = pages;
    }

    /// Makes commands omit the number of commands of their action.
    pub(crate) fn omit_counters(&self) {
        self.state.lock().unwrap().omits_counters = true;
    }

    /// Sets the part of the platform that fails.
    pub(crate) fn set_outage(&self, outage: Option<Outage>) {
        self.state.lock().unwrap().outage = outage;
    }

    /// Makes searches by signature find nothing.
    pub(crate) fn find_nothing(&self) {
        self.state.lock().unwrap().finds_nothing = true;
    }

    /// Adds replies for the next POSTs. After them, all POSTs are accepted.
    pub(crate) fn script_replies(&self, replies: &[PostReply]) {
        self.state.lock().unwrap().replies.extend(replies);
    }

    /// Drops the scripted replies: all POSTs are accepted from now on.
    pub(crate) fn accept_all(&self) {
        self.state.lock().unwrap().replies.clear();
    }

    /// Sets the number of agents that answer each action, and whether all have answered.
    pub(crate) fn set_agents(&self, agents: u64, completed: bool) {
        let mut state = self.state.lock().unwrap();
        state.agents = agents;
        state.status = if completed { "completed" } else { "inflight" }.to_owned();
    }

    /// Sets the status of each action.
    pub(crate) fn set_status(&self, status: &str) {
        self.state.lock().unwrap().status = status.to_owned();
    }

    /// Sets whether the platform returns the commands of another action.
    pub(crate) fn return_wrong_action(&self, is_wrong: bool) {
        self.state.lock().unwrap().returns_wrong_action = is_wrong;
    }

    /// Sets for each of the next pages the agent whose command is left out.
    pub(crate) fn hide_commands(&self, agents: &[u64]) {
        self.state.lock().unwrap().hidden = agents.to_vec();
    }

    /// Returns the offsets of the pages that were requested.
    pub(crate) fn requested_offsets(&self) -> Vec<u64> {
        self.state.lock().unwrap().offsets.clone()
    }

    /// Returns the number of answered queries for the status of an action.
    pub(crate) fn status_queries(&self) -> usize {
        self.state.lock().unwrap().status_queries
    }

    /// Returns the names of posted actions and the ids of actions whose commands were requested, in
    /// order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the names of the accepted actions.
    pub(crate) fn action_names(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .actions
            .iter()
            .map(|(_, text, _)| Action::parse(text.as_bytes()).unwrap().name)
            .collect()
    }

    /// Returns the accepted actions as they were posted.
    pub(crate) fn action_texts(&self) -> Vec<String> {
        self.state.lock().unwrap().actions.iter().map(|(_, text, _)| text.clone()).collect()
    }

    /// Returns the number of POSTs.
    pub(crate) fn post_count(&self) -> usize {
        self.state.lock().unwrap().posts
    }
}

impl State {
    /// Accepts an action.
    fn accept(&mut self, text: &str, signatures: &[Signature]) {
        let id = ActionId(1000 + self.actions.len() as u64);
        self.actions.push((id, text.to_owned(), signatures.to_vec()));
    }
}

/// Returns whether an action matches the name and period of a search.
fn matches(text: &str, search: &Search<'_>) -> bool {
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
        if !self.faults.allows_request() {
            return Posted::Unknown { cause: broken() };
        }
        let name = Action::parse(action_json.as_bytes()).unwrap().name;
        self.requests.lock().unwrap().push(name);
        let mut state = self.state.lock().unwrap();
        state.posts += 1;
        if let Some(stop) = state.stop.take() {
            stop.request();
        }
        let mut reply = state.replies.pop_front().unwrap_or(PostReply::Accept);
        // As the original does, whatever the test scripts.
        if reply == PostReply::Accept && signatures.iter().any(|line| is_short(line.as_str())) {
            reply = PostReply::RejectSignatureLength;
        }
        if matches!(reply, PostReply::Accept | PostReply::LoseAnswer) {
            state.accept(action_json, signatures);
        }
        if reply == PostReply::AcceptLater {
            state.late.push((action_json.to_owned(), signatures.to_vec()));
        }
        if !self.faults.allows_request() {
            return Posted::Unknown { cause: broken() };
        }
        match reply {
            PostReply::Accept => {
                let (id, text, _) = state.actions.last().unwrap();
                let action = RawValue::from_string(text.clone()).unwrap();
                Posted::Accepted { id: *id, action }
            }
            PostReply::LoseAnswer | PostReply::DropConnection | PostReply::AcceptLater => {
                Posted::Unknown { cause: broken() }
            }
            PostReply::Unavailable => Posted::Refused { cause: broken(), next: Next::BackOffAll },
            PostReply::Reject => Posted::Refused { cause: broken(), next: Next::Invalid },
            PostReply::RejectAsExpired => Posted::Refused { cause: broken(), next: Next::DateAnew },
            PostReply::RejectSignatureLength => {
                Posted::Refused { cause: broken(), next: Next::SignAnew }
            }
        }
    }

    fn find(&self, search: &Search<'_>) -> Result<Found, ApiError> {
        if !self.faults.allows_request() {
            return Err(broken());
        }
        let state = self.state.lock().unwrap();
        let found = state.actions.iter().find(|(id, text, signatures)| {
            !state.finds_nothing
                && matches(text, search)
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

    fn action(&self, id: ActionId) -> Result<Option<ActionState>, ApiError> {
        if !self.faults.allows_request() {
            return Err(broken());
        }
        let mut state = self.state.lock().unwrap();
        if state.outage == Some(Outage::Api) {
            return Err(broken());
        }
        state.status_queries += 1;
        let exists = state.outage.is_none() && state.actions.iter().any(|(other, ..)| *other == id);
        Ok(exists.then(|| ActionState { status: state.status.clone(), sent: state.agents }))
    }

    fn commands(
        &self,
        id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(CommandText<'_>) -> std::io::Result<()>,
    ) -> Result<Page, ApiError> {
        if !self.faults.allows_request() {
            return Err(broken());
        }
        self.requests.lock().unwrap().push(id.to_string());
        let mut state = self.state.lock().unwrap();
        if state.fails_fetches || state.outage.is_some() {
            return Err(broken());
        }
        state.offsets.push(offset);
        if state.empty_pages > 0 {
            state.empty_pages -= 1;
            return Ok(Page { items: 0, sent: None });
        }
        let hidden = if state.hidden.is_empty() { None } else { Some(state.hidden.remove(0)) };
        let Some((_, text, _)) = state.actions.iter().find(|(other, ..)| *other == id) else {
            return Ok(Page { items: 0, sent: None });
        };
        let mut name = Action::parse(text.as_bytes()).unwrap().name;
        if state.returns_wrong_action {
            name = "another".to_owned();
        }
        let last = state.agents.min(offset + u64::from(limit));
        for agent in (offset..last).filter(|agent| Some(*agent) != hidden) {
            let (status, results) = if agent < state.unanswered {
                ("sent", json!([]))
            } else {
                (
                    "success",
                    json!([{"foundanything": true, "success": true, "elements": {}, "errors": null}]),
                )
            };
            let counters =
                if state.omits_counters { json!({}) } else { json!({"sent": state.agents}) };
            let command = json!({"id": 7000 + agent, "action": {"name": name, "counters": counters},
                "agent": {"name": format!("agent{agent}")}, "status": status, "results": results});
            sink(CommandText::new(&command.to_string(), None)).map_err(|_| broken())?;
        }
        let items = last.saturating_sub(offset);
        Ok(Page { items, sent: Some(state.agents).filter(|_| items > 0 && !state.omits_counters) })
    }

    fn dashboard(&self) -> Result<Dashboard, ApiError> {
        Ok(Dashboard { agents_online: Some(self.state.lock().unwrap().agents) })
    }

    fn skew(&self) -> Option<jiff::SignedDuration> {
        None
    }
}
