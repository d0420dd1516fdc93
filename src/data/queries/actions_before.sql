select cast(actions.id as bigint), actions.name, actions.target, actions.description, actions.threat,
       actions.operations, actions.validfrom, actions.expireafter, actions.starttime, actions.finishtime,
       actions.lastupdatetime, actions.status, actions.syntaxversion, actions.pgpsignatures
from actions
where (cast($1 as bigint) is null or actions.id < cast($1 as bigint))
  and (cast($2 as text) is null or actions.status = cast($2 as text))
order by actions.id desc
limit cast($3 as bigint)
