select cast(case when apikey is null then 0 else 1 end as bigint)
from investigators
where id = cast($1 as bigint)
