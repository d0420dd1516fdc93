-- Hosts whose latest heartbeat lies between $1 and $2. A host with an unreadable heartbeat is included unless
-- another of its agents sent one since $2. The last two columns are the number of unreadable heartbeats and one
-- of them.
select name, max(case when {readable} then heartbeattime end),
       count(case when {readable} then null else 1 end), min(case when {readable} then null else heartbeattime end)
from agents
where (heartbeattime >= $1 or {unreadable}) and {after}
group by name
having coalesce(max(case when {readable} then heartbeattime end) < $2, 1 = 1)
order by name
limit cast($3 as bigint)
