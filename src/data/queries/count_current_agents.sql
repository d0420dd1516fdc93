-- Agents with a heartbeat since $1, and those that have never answered a command, which are removed later.
select count(*)
from agents
where agents.heartbeattime >= $1
   or not exists (select 1 from commands where commands.agentid = agents.id and commands.status not in ('sent', 'expired'))
