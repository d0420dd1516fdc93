delete from signatures where actionid = $1
