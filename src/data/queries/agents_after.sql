select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       substr(cast(agents.environment as text), 1, 65537), substr(cast(agents.tags as text), 1, 65537),
       agents.loadername
from agents
where {after}
order by agents.id
limit cast($1 as bigint)
