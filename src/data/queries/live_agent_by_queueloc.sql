-- As live_agents_after, for one queue.
select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       substr(cast(agents.environment as text), 1, 65537), substr(cast(agents.tags as text), 1, 65537),
       agents.loadername
from agents
where agents.queueloc = $1 and coalesce(agents.status, '') in ('online', 'idle')
order by case when agents.heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end, agents.heartbeattime desc
limit 1
