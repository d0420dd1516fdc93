-- What became of an action at each agent, and whether a result of it found anything.
select cast(commands.id as bigint), commands.status, commands.starttime, commands.finishtime,
       cast(agents.id as bigint), agents.name, agents.queueloc,
       cast(case when commands.status <> 'success' then 0 when {found} then 1 else 0 end as bigint)
from commands
inner join agents on agents.id = commands.agentid
where commands.actionid = cast($1 as bigint) and commands.id > cast($2 as bigint)
order by commands.id
limit cast($3 as bigint)
