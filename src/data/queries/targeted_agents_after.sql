-- As live_agents_after, of those for which a condition holds that somebody else wrote. What it ends
-- with, even a comment, ends at its line.
select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       agents.environment, agents.tags, agents.loadername
from agents
where coalesce(agents.status, '') in ('online', 'idle')
  and {after}
  and (
{target}
)
order by agents.queueloc, case when agents.heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end,
         agents.heartbeattime desc
limit cast($1 as bigint)
