-- The agents to which the scheduler would send an action: those that are online or idle, for each queue the
-- one with the latest heartbeat. coalesce keeps the index on the status from being used: it would scan half of
-- the table for each page, while the index on the queue leads directly to the page.
select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       substr(cast(agents.environment as text), 1, 65537), substr(cast(agents.tags as text), 1, 65537),
       agents.loadername
from agents
where coalesce(agents.status, '') in ('online', 'idle')
  and {after}
order by agents.queueloc, case when agents.heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end,
         agents.heartbeattime desc
limit cast($1 as bigint)
