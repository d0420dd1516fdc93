select commands.id, commands.actionid, commands.agentid,
       commands.status, commands.results, commands.starttime, commands.finishtime
from commands
where commands.actionid = cast($1 as bigint)
order by commands.id
