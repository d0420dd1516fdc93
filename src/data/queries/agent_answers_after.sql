-- The answers of all agents to an action, and whether a result found anything. Answers of agents whose row has
-- been deleted are included.
select commands.id, commands.status, commands.starttime, commands.finishtime,
       commands.agentid, agents.name, agents.queueloc,
       cast(case when commands.status <> 'success' then 0 when {found} then 1 else 0 end as bigint)
from commands
left join agents on agents.id = commands.agentid
where commands.actionid = cast($1 as bigint) and {after}
order by commands.id
limit cast($2 as bigint)
