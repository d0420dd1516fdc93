select id, apikey, apisalt
from investigators
where status = 'active' and apikey is not null and apisalt is not null
order by id
