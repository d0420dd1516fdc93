-- The places from which more than one agent was heard since $1, those with most first. An agent whose
-- heartbeat cannot be read counts: how many there are, and one heartbeat of them, come last.
select count(*), queueloc, min(name), max(case when {heard} then heartbeattime end),
       count(case when {heard} then null else 1 end), min(case when {heard} then null else heartbeattime end)
from agents
where heartbeattime >= $1 or {unheard}
group by queueloc
having count(*) > 1 and {after}
order by count(*) desc, queueloc
limit cast($2 as bigint)
