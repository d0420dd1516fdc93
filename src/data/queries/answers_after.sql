-- What became of an action at each agent, and whether a result of it found anything. An agent whose row
-- somebody has deleted has answered, too.
select commands.id, commands.status, commands.starttime, commands.finishtime,
       commands.agentid, agents.name, agents.queueloc,
       cast(case when commands.status <> 'success' then 0 when {found} then 1 else 0 end as bigint)
from commands
left join agents on agents.id = commands.agentid
where commands.actionid = cast($1 as bigint) and {after}
order by commands.id
limit cast($2 as bigint)
