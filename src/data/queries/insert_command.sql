insert into commands (id, actionid, agentid, status, results, starttime, finishtime)
values (cast($1 as bigint), cast($2 as bigint), cast($3 as bigint), 'sent', null, $4, $5)
