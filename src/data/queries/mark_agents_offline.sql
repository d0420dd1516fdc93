update agents set status = $2 where status in ('online', 'idle') and heartbeattime < $1
