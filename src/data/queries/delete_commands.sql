delete from commands where actionid = $1
