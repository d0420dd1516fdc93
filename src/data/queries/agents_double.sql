-- The places from which more than one agent was heard since $1, those with most first.
select count(queueloc), queueloc, min(name), max(heartbeattime)
from agents
where heartbeattime >= $1
group by queueloc
having count(queueloc) > 1
   and (cast($2 as bigint) is null or count(queueloc) < cast($2 as bigint)
        or (count(queueloc) = cast($2 as bigint) and queueloc > cast($3 as text)))
order by count(queueloc) desc, queueloc
limit cast($4 as bigint)
