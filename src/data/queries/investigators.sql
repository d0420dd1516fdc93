select id, name, coalesce(pgpfingerprint, ''), publickey, status, createdat, lastmodified, permissions
from investigators
order by id
