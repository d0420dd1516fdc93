update agents set status = $3 where status = $1 and heartbeattime < $2
