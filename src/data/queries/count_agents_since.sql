select count(*) from agents where heartbeattime >= $1
