-- The condition is assembled from fixed texts, one for each search parameter given.
select commands.id, commands.actionid, commands.agentid,
       commands.status, commands.results, commands.starttime, commands.finishtime
from commands
inner join actions on actions.id = commands.actionid
inner join agents on agents.id = commands.agentid
where {where}
order by commands.starttime desc, commands.id desc
limit {limit} offset {offset}
