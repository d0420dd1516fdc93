insert into commands (id, actionid, agentid, status, results, starttime, finishtime)
values (cast($1 as bigint), cast($2 as bigint), cast($3 as bigint), 'sent', $4, $5, $6)
