-- The names that were heard since $1 and not since $2: those whose last heartbeat lies between. A heartbeat
-- that cannot be read hides no name: how many there are of it, and one of them, come last.
select name, max(case when {heard} then heartbeattime end),
       count(case when {heard} then null else 1 end), min(case when {heard} then null else heartbeattime end)
from agents
where (heartbeattime >= $1 or {unheard}) and {after}
group by name
having coalesce(max(case when {heard} then heartbeattime end) < $2, 1 = 1)
order by name
limit cast($3 as bigint)
