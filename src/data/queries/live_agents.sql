-- Within a queue, agents whose heartbeat is infinite or not a time come last.
select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       agents.environment, agents.tags, agents.loadername
from agents
where agents.status in ('online', 'idle')
order by agents.queueloc, case when agents.heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end,
         agents.heartbeattime desc
