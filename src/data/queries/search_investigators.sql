-- The condition is assembled from fixed texts, one for each search parameter given.
select investigators.id, investigators.name, coalesce(investigators.pgpfingerprint, ''),
       investigators.publickey, investigators.status, investigators.createdat, investigators.lastmodified,
       investigators.permissions
from investigators
where {where}
order by investigators.id
limit {limit} offset {offset}
