delete from actions where id = $1
