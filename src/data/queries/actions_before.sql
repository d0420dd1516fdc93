select actions.id, actions.name, actions.target, actions.description, actions.threat,
       actions.operations, actions.validfrom, actions.expireafter, actions.starttime, actions.finishtime,
       actions.lastupdatetime, actions.status, actions.syntaxversion, actions.pgpsignatures
from actions
where {after}
  and (cast($1 as text) is null or actions.status = cast($1 as text))
order by actions.id desc
limit cast($2 as bigint)
