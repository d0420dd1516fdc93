-- As the scheduler looks for the agents of an action: those that are online or idle, of each
-- place the one that was heard last.
select cast(agents.id as bigint), agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       agents.environment, agents.tags, agents.loadername
from agents
where agents.status in ('online', 'idle')
  and (cast($1 as text) is null or agents.queueloc > cast($1 as text))
order by agents.queueloc, agents.heartbeattime desc
limit cast($2 as bigint)
