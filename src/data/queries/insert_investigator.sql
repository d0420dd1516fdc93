insert into investigators (name, pgpfingerprint, publickey, status, createdat, lastmodified, permissions)
values ($1, $2, $3, 'active', $4, $4, cast($5 as bigint))
