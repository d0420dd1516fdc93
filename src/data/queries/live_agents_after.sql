-- As the scheduler looks for the agents of an action: those that are online or idle, of each
-- place the one that was heard last. The index of the places leads to a page; that of the status,
-- which coalesce keeps from being used, would lead to half of the table each time.
select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       agents.environment, agents.tags, agents.loadername
from agents
where coalesce(agents.status, '') in ('online', 'idle')
  and {after}
order by agents.queueloc, case when agents.heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end,
         agents.heartbeattime desc
limit cast($1 as bigint)
