-- Queues of which more than one agent sent a heartbeat since $1, those with most agents first. An agent with
-- an unreadable heartbeat counts. The last two columns are the number of unreadable heartbeats and one of them.
select count(*), queueloc, min(name), max(case when {readable} then heartbeattime end),
       count(case when {readable} then null else 1 end), min(case when {readable} then null else heartbeattime end)
from agents
where heartbeattime >= $1 or {unreadable}
group by queueloc
having count(*) > 1 and {after}
order by count(*) desc, queueloc
limit cast($2 as bigint)
