select commands.id, commands.actionid, commands.agentid,
       commands.status, commands.results, commands.starttime, commands.finishtime
from commands
join agents on agents.id = commands.agentid
where commands.actionid = cast($1 as bigint) and commands.status = 'sent' and agents.queueloc = $2
order by commands.id
