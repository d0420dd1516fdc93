-- The unanswered commands of an action, except those to the agents of the queue $4.
update commands set status = 'expired', results = $2, finishtime = $3
where actionid = cast($1 as bigint) and status = 'sent'
  and agentid not in (select agents.id from agents where agents.queueloc = $4)
