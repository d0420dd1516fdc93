-- The names that were heard since $1 and not since $2: those whose last heartbeat lies between.
select name, max(heartbeattime)
from agents
where heartbeattime >= $1 and (cast($3 as text) is null or name > cast($3 as text))
group by name
having max(heartbeattime) < $2
order by name
limit cast($4 as bigint)
