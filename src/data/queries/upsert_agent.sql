insert into agents (id, name, queueloc, mode, version, pid, starttime, destructiontime, heartbeattime,
                    refreshtime, status, environment, tags, loadername)
values (cast($1 as bigint), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (id) do update set
    name = excluded.name, queueloc = excluded.queueloc, mode = excluded.mode, version = excluded.version,
    pid = excluded.pid, starttime = excluded.starttime, destructiontime = excluded.destructiontime,
    heartbeattime = excluded.heartbeattime, refreshtime = excluded.refreshtime, status = excluded.status,
    environment = excluded.environment, tags = excluded.tags, loadername = excluded.loadername
