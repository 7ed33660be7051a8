-- What a transfer stores on sequencer, mediator and both participants together, in one durable transaction.
insert into bench_rows (content) select decode(repeat('5a', 300), 'hex') from generate_series(1, 30);
