select cast(commands.id as bigint), cast(commands.actionid as bigint), cast(commands.agentid as bigint),
       commands.status, commands.results, commands.starttime, commands.finishtime
from commands
where commands.actionid = cast($1 as bigint)
order by commands.id
