-- Agents without a heartbeat since $1 that have never answered a command.
select agents.id, agents.queueloc
from agents
where agents.heartbeattime < $1
  and not exists (select 1 from commands where commands.agentid = agents.id and commands.status <> 'expired')
  and {after}
order by agents.id
limit cast($2 as bigint)
