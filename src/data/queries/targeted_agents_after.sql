-- As live_agents_after, of those for which a condition holds that somebody else wrote. What it ends
-- with, even a comment, ends at its line.
select cast(agents.id as bigint), agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       agents.environment, agents.tags, agents.loadername
from agents
where agents.status in ('online', 'idle')
  and (cast($1 as text) is null or agents.queueloc > cast($1 as text))
  and (
{target}
)
order by agents.queueloc, agents.heartbeattime desc
limit cast($2 as bigint)
