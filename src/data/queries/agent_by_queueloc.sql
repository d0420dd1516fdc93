select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       agents.environment, agents.tags, agents.loadername
from agents
where agents.queueloc = $1
order by case when agents.heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end, agents.heartbeattime desc
limit 1
