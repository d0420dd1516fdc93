insert into investigators (id, name, pgpfingerprint, publickey, status, createdat, lastmodified, permissions)
select coalesce(max(id), 0) + 1, $1, $2, $3, 'active', $4, $4, cast($5 as bigint) from investigators
