-- Those that may begin now, and those that were never begun and no longer may.
select actions.id, actions.name, actions.target, actions.description, actions.threat,
       actions.operations, actions.validfrom, actions.expireafter, actions.starttime, actions.finishtime,
       actions.lastupdatetime, actions.status, actions.syntaxversion, actions.pgpsignatures
from actions
where actions.status = 'pending' and actions.validfrom < $1
order by actions.id
