delete from commands
where agentid = cast($1 as bigint) and status = 'expired'
  and exists (select 1 from agents where agents.id = commands.agentid and agents.heartbeattime < $2)
