select agents.id, agents.name, agents.queueloc, agents.mode, agents.version, agents.pid,
       agents.starttime, agents.destructiontime, agents.heartbeattime, agents.refreshtime, agents.status,
       agents.environment, agents.tags, agents.loadername
from agents
where agents.id = cast($1 as bigint)
