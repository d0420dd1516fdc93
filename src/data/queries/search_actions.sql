-- The condition is assembled from fixed texts, one for each search parameter given.
select actions.id, actions.name, actions.target, actions.description, actions.threat,
       actions.operations, actions.validfrom, actions.expireafter, actions.starttime, actions.finishtime,
       actions.lastupdatetime, actions.status, actions.syntaxversion, actions.pgpsignatures
from actions
where {where}
order by actions.validfrom desc, actions.id desc
limit {limit} offset {offset}
