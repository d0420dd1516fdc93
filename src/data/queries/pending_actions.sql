-- Pending actions whose validity has begun, including those that have expired without being sent.
select actions.id, actions.name, actions.target, actions.description, actions.threat,
       actions.operations, actions.validfrom, actions.expireafter, actions.starttime, actions.finishtime,
       actions.lastupdatetime, actions.status, actions.syntaxversion, actions.pgpsignatures
from actions
where actions.status = 'pending' and actions.validfrom < $1
order by actions.id
