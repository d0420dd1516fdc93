select agents.id
from agents
where agents.queueloc = $1
order by case when agents.heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end, agents.heartbeattime desc
limit 1
