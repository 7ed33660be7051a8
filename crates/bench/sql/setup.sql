drop table if exists bench_ious, bench_history, bench_rows;
create table bench_ious (id bigint primary key, issuer text not null, owner text not null, amount numeric not null);
create table bench_history (at bigserial primary key, iou bigint not null, owner text not null);
create table bench_rows (at bigserial primary key, content bytea not null);
insert into bench_ious select n, 'issuer', 'alice', n from generate_series(1, 10000) as n;
