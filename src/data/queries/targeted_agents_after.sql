-- As live_agents_after, for the agents that satisfy a target. The target stands on lines of its own, so that a
-- comment at its end cannot hide the rest of the query.
select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       substr(cast(agents.environment as text), 1, 65537), substr(cast(agents.tags as text), 1, 65537),
       agents.loadername
from agents
where coalesce(agents.status, '') in ('online', 'idle')
  and {after}
  and (
{target}
)
order by agents.queueloc, case when agents.heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end,
         agents.heartbeattime desc
limit cast($1 as bigint)
