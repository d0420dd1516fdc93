select actions.id, actions.name, actions.target, actions.description, actions.threat,
       actions.operations, actions.validfrom, actions.expireafter, actions.starttime, actions.finishtime,
       actions.lastupdatetime, actions.status, actions.syntaxversion, actions.pgpsignatures
from actions
order by actions.starttime desc, actions.id desc
limit cast($1 as bigint)
