-- A transfer where nobody mistrusts anybody: one row changes, one says so.
\set id random(1, 10000)
begin;
update bench_ious set owner = case owner when 'alice' then 'bob' else 'alice' end where id = :id;
insert into bench_history (iou, owner) select id, owner from bench_ious where id = :id;
commit;
